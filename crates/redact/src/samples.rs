//! Planted secrets: every kind of forbidden content in the forms it comes in, for self-tests and
//! proofs. Nothing here is anybody's.

use crate::detect::{Check, Rule, SCHEMES, Scheme};

/// Numbers that look random and never change (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.roll() % end).unwrap_or(0)
    }

    /// One of a list that is not empty.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Characters of an alphabet.
    pub fn letters(&mut self, alphabet: &[u8], count: usize) -> String {
        let mut letter = || char::from(*self.one(alphabet));
        (0..count).map(|_| letter()).collect()
    }
}

const DIGITS: &[u8] = b"0123456789";
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

/// One planted secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// What it is.
    pub rule: Rule,
    /// As it is written.
    pub text: String,
    /// What must not be found anywhere: as it was written, and in its plain forms.
    pub needles: Vec<String>,
}

/// A secret of a kind that people write in words: no two are alike.
#[must_use]
pub fn secret(dice: &mut Dice) -> Secret {
    match dice.below(8) {
        0..=2 => card(dice),
        3 => code(dice),
        4 => email(dice),
        5 => iban(dice),
        6 => phone(dice),
        _ => ip(dice),
    }
}

/// A valid card number in one of its surface forms.
#[must_use]
pub fn card(dice: &mut Dice) -> Secret {
    let scheme = dice.one(SCHEMES);
    let digits = number(dice, scheme);
    let text = surface(dice, scheme, &digits);
    let plain = [" ", "-", "."].map(|separator| grouped(&digits, separator));
    Secret {
        rule: Rule::Pan,
        needles: plain.into_iter().chain([digits, text.clone()]).collect(),
        text,
    }
}

/// A security code after a word for it. The digits alone say nothing; the needle is what stands
/// around them.
fn code(dice: &mut Dice) -> Secret {
    let marker = dice.letters(LETTERS, 8);
    let length = 3 + dice.below(2);
    let digits = dice.letters(DIGITS, length);
    let word = *dice.one(&["CVV", "cvc2", "security code", "Prüfziffer"]);
    Secret {
        rule: Rule::Code,
        text: format!("{word} {marker} {digits}"),
        needles: vec![format!("{marker} {digits}")],
    }
}

fn email(dice: &mut Dice) -> Secret {
    let (name, host) = (dice.letters(LETTERS, 9), dice.letters(LETTERS, 7));
    let plain = format!("{name}@{host}.example");
    let text = match dice.below(5) {
        0 => plain.replace('@', "%40"),
        1 => plain.replace('@', "＠"),
        2 => format!("<{name}.x+y@{host}.co.example>"),
        3 => format!("søren.{plain}"),
        _ => plain.clone(),
    };
    Secret {
        rule: Rule::Email,
        needles: vec![plain, text.clone(), name, host],
        text,
    }
}

fn iban(dice: &mut Dice) -> Secret {
    let (country, letters, digits) = *dice.one(&[
        ("DE", 0, 18),
        ("GB", 4, 14),
        ("NL", 4, 10),
        ("FR", 0, 23),
        ("NO", 0, 11),
        ("MT", 4, 23),
    ]);
    // No card number may stand in it by chance: those are found first.
    let bank = dice.letters(b"ABCDEFGHJKLMNPQRSTUVWXYZ", letters);
    let account = format!("{bank}{}", dice.letters(DIGITS, digits));
    let rest = format!("{account}{country}00")
        .chars()
        .filter_map(|c| c.to_digit(36))
        .fold(0, |rest, value| match value {
            0..=9 => (rest * 10 + value) % 97,
            _ => (rest * 100 + value) % 97,
        });
    let plain = format!("{country}{:02}{account}", 98 - rest);
    let text = match dice.below(4) {
        0 => grouped(&plain, " "),
        1 => plain.to_lowercase(),
        2 => grouped(&plain, "-"),
        _ => plain.clone(),
    };
    Secret {
        rule: Rule::Iban,
        needles: vec![plain, text.clone(), account],
        text,
    }
}

fn phone(dice: &mut Dice) -> Secret {
    let country = *dice.one(&["49", "44", "33", "1", "358"]);
    let (area, own) = (dice.letters(b"123456789", 3), dice.letters(DIGITS, 6));
    let text = match dice.below(5) {
        0 => format!("+{country} {area} {own}"),
        1 => format!("+{country}-({area})-{}-{}", &own[..3], &own[3..]),
        2 => format!("%2B{country}{area}{own}"),
        3 => format!("+{country}.{area}.{own}"),
        _ => format!("+{country}{area}{own}"),
    };
    Secret {
        rule: Rule::Phone,
        needles: vec![
            format!("{country}{area}{own}"),
            format!("{area}{own}"),
            text.clone(),
        ],
        text,
    }
}

fn ip(dice: &mut Dice) -> Secret {
    let text = if dice.below(2) == 0 {
        let mut part = || 100 + dice.below(156);
        format!("{}.{}.{}.{}", part(), part(), part(), part())
    } else {
        let mut part = || dice.letters(b"123456789abcdef", 4);
        format!("2001:db8:{}::{}:{}", part(), part(), part())
    };
    Secret {
        rule: Rule::Ip,
        needles: vec![text.clone()],
        text,
    }
}

/// A number of the scheme with a right check digit.
#[must_use]
pub fn number(dice: &mut Dice, scheme: &Scheme) -> String {
    let (low, high) = *dice.one(scheme.prefixes);
    let (from, to): (usize, usize) = (low.parse().unwrap_or(0), high.parse().unwrap_or(0));
    let mut digits = (from + dice.below(to - from + 1)).to_string();
    let length = *dice.one(scheme.lengths);
    let fill = length - 1 - digits.len();
    digits.push_str(&dice.letters(DIGITS, fill));
    let sum: u32 = (digits.bytes().rev().enumerate())
        .map(|(index, byte)| match (index % 2, u32::from(byte - b'0')) {
            (0, digit) if digit > 4 => digit * 2 - 9,
            (0, digit) => digit * 2,
            (_, digit) => digit,
        })
        .sum();
    digits.push_str(&((10 - sum % 10) % 10).to_string());
    digits
}

/// What stands between two groups of a card number, as people and programs write it.
pub const SEPARATORS: &[&str] = &[
    " ",
    "-",
    ".",
    "/",
    "_",
    ",",
    "  ",
    " -",
    "\u{a0}",
    "\u{2009}",
    "–",
    "—",
    "−",
    "－",
    "%20",
    "%2D",
    "\\u0020",
    "&#32;",
    "&#x2d;",
    "\u{200b} ",
];
/// What is not seen and stands between two digits.
pub const HIDDEN: &[&str] = &["\u{200b}", "\u{ad}", "\u{feff}", "\u{fe0f}\u{20e3}"];

/// One of the ways a card number is written, hidden or mangled on its way.
#[must_use]
pub fn surface(dice: &mut Dice, scheme: &Scheme, digits: &str) -> String {
    let bare = scheme.check != Check::LuhnAndShape && digits.len() > 13;
    let each = |form: &dyn Fn(u32) -> String| -> String {
        digits
            .bytes()
            .map(|byte| form(u32::from(byte - b'0')))
            .collect()
    };
    let shifted = |zero: u32| each(&|digit| char::from_u32(zero + digit).into_iter().collect());
    let half = digits.len() / 2;
    match dice.below(if bare { 16 } else { 5 }) {
        0 | 1 => {
            let between = *dice.one(SEPARATORS);
            grouped(digits, between)
        }
        2 => format!("{}-{}", &digits[..6], &digits[6..]),
        3 => format!("{}\n{}", &digits[..half], &digits[half..]),
        4 => format!("card {digits}"),
        5 => shifted(0xff10),
        6 => shifted(0x660),
        7 => shifted(0x1d7ce),
        8 => {
            let between = *dice.one(HIDDEN);
            each(&|digit| format!("{digit}{between}"))
        }
        9 => each(&|digit| format!("%3{digit}")),
        10 => each(&|digit| format!("\\u003{digit}")),
        11 => each(&|digit| format!("&#{};", 48 + digit)),
        12 => format!("x{digits}y"),
        13 => format!("%B{digits}^DOE/JANE^2512?"),
        14 => format!(";{digits}=25121011"),
        _ => digits.to_owned(),
    }
}

/// In groups of four, none of them shorter than three: so are cards and accounts written.
fn grouped(text: &str, separator: &str) -> String {
    let tail = text.len() % 4;
    let whole = text.len() - tail;
    let last = if tail == 0 || tail > 2 {
        whole
    } else {
        whole - 4
    };
    let mut groups: Vec<&str> = (0..last).step_by(4).map(|at| &text[at..at + 4]).collect();
    if last < text.len() {
        groups.push(&text[last..]);
    }
    groups.join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Budget, Place, clean};

    #[test]
    fn every_planted_secret_is_found_where_people_write() {
        let mut dice = Dice(9);
        for _ in 0..20_000 {
            let secret = secret(&mut dice);
            for place in [Place::Text, Place::Label] {
                let text = format!("a: {} b", secret.text);
                let left = clean(&text, place, &mut Budget::default(), |_| {});
                let left = left.unwrap_or(text);
                for needle in &secret.needles {
                    assert!(!left.contains(needle.as_str()), "{secret:?} left {left:?}");
                }
            }
        }
    }
}
