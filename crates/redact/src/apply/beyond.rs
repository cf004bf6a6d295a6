//! What a policy keeps of an event beyond the catalogue: declared fields, and texts to be sealed.

use std::net::IpAddr;

use popwatch_core::access::raw::PartClass;
use popwatch_core::event::FieldSource;
use popwatch_core::policy::rule::{Holds, Rule as Said};
use popwatch_core::record::Extra;

use super::{RedactingSource, fit};
use crate::detect::{self, Look, Place, Rule, RuleSet};
use crate::plan::{Declared, Table, domain_of, rules_of};
use crate::seal::PART_BYTES_MAX;

/// Bytes of one value; what an e-mail address may have, and more than any other but a text.
const VALUE_BYTES_MAX: usize = 320;
/// Bytes that a value takes beside its path and text.
const VALUE_OVERHEAD: usize = 8;
/// Metres of a millionth of a degree of latitude, times 10^6: the meridian is 40,007,863 m around.
const MICRODEGREE_UM: i64 = 111_133;
/// How many times as wide a degree of longitude is at the equator, in thousandths and rounded up, by tens
/// of degrees of latitude away from it.
const LONGITUDE: [i64; 9] = [
    1_016, 1_065, 1_155, 1_306, 1_556, 2_001, 2_924, 5_759, 60_000,
];

/// What is to be kept beyond the catalogue, not yet sealed. Only the second look takes it.
#[derive(Default, PartialEq, Eq)]
pub struct Unsealed {
    /// What is sealed, by class.
    pub(crate) sealed: Vec<(PartClass, Extra)>,
    /// What stands open.
    pub(crate) values: Vec<Extra>,
}

impl std::fmt::Debug for Unsealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} sealed, {} open",
            self.sealed.len(),
            self.values.len()
        )
    }
}

impl Unsealed {
    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.values.is_empty()
    }

    /// Keeps nothing that is sealed.
    pub fn drop_sealed(&mut self) {
        self.sealed.clear();
    }

    fn bytes_of(&self, class: PartClass) -> usize {
        let parts = self.sealed.iter().filter(|(of, _)| *of == class);
        parts.map(|(_, value)| bytes(value)).sum()
    }
}

fn bytes(value: &Extra) -> usize {
    value.path.len() + value.text.len() + VALUE_OVERHEAD
}

impl<S: FieldSource> RedactingSource<'_, S> {
    /// Takes a declared field's value. What is not of the declared kind goes, and is counted.
    pub fn declared(&mut self, declared: &Declared, text: &str) {
        if !self.take_declared(declared, text.trim()) {
            self.counts.planned += 1;
        }
    }

    fn take_declared(&mut self, declared: &Declared, text: &str) -> bool {
        let rule = &declared.rule;
        if text.is_empty() || (rule.holds != Holds::Text && text.len() > VALUE_BYTES_MAX) {
            return false;
        }
        match (&rule.rule, rule.holds) {
            (Said::Person { domain, seal }, holds) => {
                let Some(normal) = self.person(holds, text) else {
                    return false;
                };
                let stand_in = domain.and_then(|domain| {
                    let keys = self.keys()?;
                    Some(keys.stand_in(domain_of(domain), &normal))
                });
                self.counts.keyless += u64::from(domain.is_some() && stand_in.is_none());
                if let Some(stand_in) = stand_in {
                    self.open(declared, stand_in);
                }
                if *seal {
                    self.seal(rule.class, &declared.path, text.to_owned());
                }
            }
            (Said::Truncate { v4, v6 }, _) => match truncated(text, *v4, *v6) {
                Some(kept) => self.open(declared, kept),
                None => return false,
            },
            (Said::Grid { m }, _) => match square(text, *m) {
                Some(kept) => self.open(declared, kept),
                None => return false,
            },
            (Said::Generalize(_), _) => {
                let kept = Table::default().general(text).to_owned();
                self.open(declared, kept);
            }
            (Said::Redact, Holds::Label) => {
                let kept = self.text(text, Place::Label);
                self.open(declared, kept.unwrap_or_else(|| text.to_owned()));
            }
            (Said::Keep, Holds::Digits4) if is_four_digits(text) => {
                self.open(declared, text.to_owned());
            }
            (
                Said::Scan {
                    detectors,
                    max_bytes,
                },
                Holds::Text,
            ) => {
                let bytes_max = usize::try_from(*max_bytes).unwrap_or(usize::MAX);
                self.sealed_text(
                    rule.class,
                    &declared.path,
                    text,
                    rules_of(*detectors),
                    bytes_max,
                );
            }
            _ => return false,
        }
        true
    }

    /// Seals what is left of a text once `rules` looked through it.
    pub(super) fn sealed_text(
        &mut self,
        class: PartClass,
        path: &str,
        text: &str,
        rules: RuleSet,
        bytes_max: usize,
    ) {
        let look = Look {
            rules: rules.or(RuleSet::LEAST),
            ..self.rules.plan.around(Place::Text)
        };
        let clean = self.text(text, look);
        let kept = clean.unwrap_or_else(|| text.to_owned());
        let is_long = kept.len() > bytes_max;
        self.counts.cut += u64::from(is_long);
        let kept = if is_long { fit(kept, bytes_max) } else { kept };
        self.seal(class, path, kept);
    }

    fn open(&mut self, declared: &Declared, text: String) {
        let path = declared.path.clone();
        self.beyond.values.push(Extra { path, text });
    }

    fn seal(&mut self, class: PartClass, path: &str, text: String) {
        let has_key = self
            .rules
            .popup_keys
            .is_some_and(|keys| keys.parts.contains_key(&class));
        if !has_key {
            self.counts.keyless += 1;
            return;
        }
        let path = path.to_owned();
        let value = Extra { path, text };
        if self.beyond.bytes_of(class) + bytes(&value) > PART_BYTES_MAX {
            self.counts.cut += 1;
            return;
        }
        self.beyond.sealed.push((class, value));
    }

    /// A person's normal form; `None` for what is no such thing, or holds something else too.
    fn person(&mut self, holds: Holds, text: &str) -> Option<String> {
        let look = self.rules.plan.around(Place::Text);
        let hits = detect::scan(text, look, &mut self.budget);
        let is_whole = |rule: Rule| matches!(hits.as_slice(), [hit] if hit.rule == rule && (hit.start, hit.end) == (0, text.len()));
        match holds {
            Holds::Email => is_whole(Rule::Email).then(|| text.to_owned()),
            Holds::Phone => {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                let is_plain = text
                    .chars()
                    .all(|c| c.is_ascii_digit() || "+ ()-./".contains(c));
                let is_phone = is_whole(Rule::Phone) || (hits.is_empty() && is_plain);
                let plus = if text.starts_with('+') { "+" } else { "" };
                (is_phone && (7..=15).contains(&digits.len())).then(|| format!("{plus}{digits}"))
            }
            Holds::Subject => Some(text.to_owned()),
            Holds::Fact
            | Holds::Choice
            | Holds::Ip
            | Holds::Geo
            | Holds::Label
            | Holds::Digits4
            | Holds::Text => None,
        }
    }
}

fn is_four_digits(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The leading bits of an address, with how many they are.
fn truncated(text: &str, v4: u8, v6: u8) -> Option<String> {
    Some(match text.parse().ok()? {
        IpAddr::V4(address) => {
            let bits = u32::from(v4.min(32));
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            let kept = std::net::Ipv4Addr::from_bits(address.to_bits() & mask);
            format!("{kept}/{bits}")
        }
        IpAddr::V6(address) => {
            let bits = u32::from(v6.min(128));
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            let kept = std::net::Ipv6Addr::from_bits(address.to_bits() & mask);
            format!("{kept}/{bits}")
        }
    })
}

/// The south-west corner of the square of a grid in which a place lies, its sides at least `m` long:
/// `latitude,longitude` in degrees.
fn square(text: &str, m: u32) -> Option<String> {
    let (latitude, longitude) = text.split_once(',')?;
    let latitude = microdegrees(latitude.trim(), 90)?;
    let longitude = microdegrees(longitude.trim(), 180)?;
    let side = divided(i64::from(m) * 1_000_000, MICRODEGREE_UM);
    let south = latitude.div_euclid(side) * side;
    let across = across(side, south);
    let west = longitude.div_euclid(across) * across;
    Some(format!("{},{}", degrees(south), degrees(west)))
}

/// How many millionths of a degree of longitude a square is wide that is `side` high and begins at `south`:
/// its side towards the pole is the shorter one.
fn across(side: i64, south: i64) -> i64 {
    let farthest = south.abs().max((south + side).abs()) / 10_000_000;
    let wider = LONGITUDE[usize::try_from(farthest).unwrap_or(8).min(8)];
    divided(side * wider, 1_000).min(360_000_000)
}

/// Division of positive numbers that rounds up.
const fn divided(number: i64, by: i64) -> i64 {
    number / by + (number % by > 0) as i64
}

fn microdegrees(text: &str, degrees_max: i64) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) {
        return None;
    }
    let part: String = part.chars().chain("000000".chars()).take(6).collect();
    let whole: i64 = whole.parse().ok()?;
    let all = whole
        .checked_mul(1_000_000)?
        .checked_add(part.parse().ok()?)?;
    (all <= degrees_max * 1_000_000).then_some(sign * all)
}

fn degrees(micro: i64) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    let (whole, part) = (micro.abs() / 1_000_000, micro.abs() % 1_000_000);
    format!("{sign}{whole}.{part:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_leading_bits() {
        for (text, kept) in [
            ("203.0.113.77", Some("203.0.113.0/24")),
            ("2001:db8:1:2::9", Some("2001:db8:1::/48")),
            ("203.0.113", None),
            ("4111111111111111", None),
        ] {
            assert_eq!(truncated(text, 24, 48).as_deref(), kept, "{text}");
        }
        assert_eq!(
            truncated("203.0.113.77", 0, 0).as_deref(),
            Some("0.0.0.0/0")
        );
    }

    #[test]
    fn a_square_is_as_wide_as_it_says_and_hides_where_in_it() {
        let one = square("52.520008,13.404954", 500);
        assert_eq!(one, square(" 52.5201, 13.4051", 500));
        assert_ne!(one, square("52.53,13.404954", 500));
        assert_eq!(one.as_deref(), Some("52.519500,13.399440"));
        for wrong in ["52.5", "91,0", "0,181", "a,b", "5e1,2", "1,"] {
            assert_eq!(square(wrong, 500), None, "{wrong}");
        }
        // Wherever on earth, its sides are at least as long as asked for.
        let side = divided(500 * 1_000_000, MICRODEGREE_UM);
        assert!(side * MICRODEGREE_UM >= 500 * 1_000_000);
        for south in (-89_000_000_i32..89_000_000).step_by(100_003) {
            let nearest_pole = f64::from(south.abs().max((south + 4_500).abs())) / 1e6;
            let shrunk = nearest_pole.to_radians().cos();
            let across = i32::try_from(across(side, i64::from(south))).unwrap();
            let metres = f64::from(across) * 0.111_133 * shrunk;
            assert!(metres >= 500.0, "{south}: {metres} m");
        }
    }
}
