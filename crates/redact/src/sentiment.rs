//! How negative or positive a chat message is: the rules and lexicon of VADER, run on the rig so
//! that the text need not be kept.
//!
//! Source: C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment
//! Analysis of Social Media Text", ICWSM 2014, and its reference implementation, whose results this
//! equals; the lists of words and the numbers are theirs (MIT, see NOTICE).
//!
//! What always holds: only additions, multiplications, divisions and square roots of IEEE 754
//! doubles in a fixed order, so every platform gives the same score; no text leaves this module.

use std::sync::LazyLock;

use popwatch_core::event::ChatScore;
use popwatch_core::limits;

mod words;

use words::{BOOSTERS, NEGATIONS, SPECIAL_CASES};

/// What capitals add where not everything is in capitals.
const CAPITALS: f64 = 0.733;
/// What a negation makes of a value.
const NEGATED: f64 = -0.74;

/// Words and what they are worth, sorted by the bytes of the word.
static LEXICON: LazyLock<Vec<(&str, f64)>> = LazyLock::new(|| {
    let lines = include_str!("sentiment/lexicon.tsv").lines();
    let worth = |number: &str| number.parse().expect("the lexicon's numbers are numbers");
    let pairs = lines.filter_map(|line| line.rsplit_once('\t'));
    pairs.map(|(word, number)| (word, worth(number))).collect()
});

/// Emoji and the words they stand for, sorted by character.
static EMOJI: LazyLock<Vec<(char, &str)>> = LazyLock::new(|| {
    let lines = include_str!("sentiment/emoji.tsv").lines();
    let pairs = lines.filter_map(|line| line.split_once('\t'));
    pairs
        .filter_map(|(emoji, words)| Some((emoji.chars().next()?, words)))
        .collect()
});

/// Scores the first [`limits::CHAT_SCORED_CHARS`] characters of a message.
#[must_use]
pub fn score(text: &str) -> ChatScore {
    let text = spelled_out(text.chars().take(limits::CHAT_SCORED_CHARS));
    let text = text.trim_matches(is_space);
    let words: Vec<Word<'_>> = text
        .split(is_space)
        .filter(|token| !token.is_empty())
        .map(Word::of)
        .collect();
    let Some(compound) = compound(&words, text) else {
        return ChatScore::NOT_COVERED;
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a compound lies between -1 and 1"
    )]
    let ten_thousandths = (compound * 10_000.0).round_ties_even() as i16;
    ChatScore::covered(ten_thousandths)
}

/// The white space at which the reference implementation splits.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// The text with emoji as words.
fn spelled_out(chars: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    let mut after_space = true;
    for c in chars {
        match EMOJI.binary_search_by_key(&c, |(emoji, _)| *emoji) {
            Ok(place) => {
                if !after_space {
                    out.push(' ');
                }
                out.push_str(EMOJI[place].1);
                after_space = false;
            }
            Err(_) => {
                out.push(c);
                after_space = c == ' ';
            }
        }
    }
    out
}

/// One word or emoticon of a message.
struct Word<'a> {
    lower: std::borrow::Cow<'a, str>,
    capitals: bool,
    worth: Option<f64>,
}

impl<'a> Word<'a> {
    fn of(token: &'a str) -> Self {
        let bare = token.trim_matches(|c: char| c.is_ascii_punctuation());
        // What is left of an emoticon is short: it stays whole.
        let word = if bare.chars().nth(2).is_none() {
            token
        } else {
            bare
        };
        let lower = if word
            .chars()
            .all(|c| c.is_ascii() && !c.is_ascii_uppercase())
        {
            std::borrow::Cow::Borrowed(word)
        } else {
            std::borrow::Cow::Owned(word.to_lowercase())
        };
        let found = LEXICON.binary_search_by(|(known, _)| (*known).cmp(&*lower));
        Self {
            capitals: word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase),
            worth: found.ok().map(|place| LEXICON[place].1),
            lower,
        }
    }

    fn is(&self, text: &str) -> bool {
        self.lower == text
    }

    fn booster(&self) -> Option<f64> {
        booster(&self.lower)
    }

    fn negates(&self) -> bool {
        NEGATIONS.contains(&&*self.lower) || self.lower.contains("n't")
    }
}

fn booster(text: &str) -> Option<f64> {
    let found = BOOSTERS.binary_search_by(|(known, _)| (*known).cmp(text));
    found.ok().map(|place| BOOSTERS[place].1)
}

fn special_case(words: &[Word<'_>]) -> Option<f64> {
    let phrase = joined(words);
    let mut cases = SPECIAL_CASES.iter();
    cases.find(|(known, _)| *known == phrase).map(|case| case.1)
}

fn joined(words: &[Word<'_>]) -> String {
    let lower: Vec<&str> = words.iter().map(|word| &*word.lower).collect();
    lower.join(" ")
}

/// From -1 to 1; `None` when no word of the lexicon occurs.
fn compound(words: &[Word<'_>], text: &str) -> Option<f64> {
    if words.iter().all(|word| word.worth.is_none()) {
        return None;
    }
    let capitals = words.iter().filter(|word| word.capitals).count();
    let differ = capitals > 0 && capitals < words.len();
    let mut values: Vec<f64> = (0..words.len())
        .map(|at| value(words, at, differ))
        .collect();
    weigh_by_but(words, &mut values);
    let mut sum: f64 = values.iter().fold(0.0, |sum, value| sum + value);
    let emphasis = emphasis(text);
    if sum > 0.0 {
        sum += emphasis;
    } else if sum < 0.0 {
        sum -= emphasis;
    }
    Some((sum / (sum * sum + 15.0).sqrt()).clamp(-1.0, 1.0))
}

/// What one word is worth where it stands.
fn value(words: &[Word<'_>], at: usize, differ: bool) -> f64 {
    let word = &words[at];
    let kind_of = word.is("kind") && words.get(at + 1).is_some_and(|next| next.is("of"));
    let Some(worth) = word.worth else { return 0.0 };
    if word.booster().is_some() || kind_of {
        return 0.0;
    }
    let mut value = plain_value(words, at, worth);
    if word.capitals && differ {
        value += if value > 0.0 { CAPITALS } else { -CAPITALS };
    }
    for back in 1..=3 {
        if at < back || words[at - back].worth.is_some() {
            continue;
        }
        value += boost(&words[at - back], value, differ) * [1.0, 0.95, 0.9][back - 1];
        value = negate(words, at, back, value);
        if back == 3 {
            value = idioms(words, at, value);
        }
    }
    after_least(words, at, value)
}

/// The lexicon's value, with the word "no" before it taken into account.
fn plain_value(words: &[Word<'_>], at: usize, worth: f64) -> f64 {
    let before = |back: usize| at.checked_sub(back).map(|place| &words[place]);
    let is_no = |back: usize| before(back).is_some_and(|word| word.is("no"));
    let joins = before(1).is_some_and(|word| word.is("or") || word.is("nor"));
    if is_no(1) || is_no(2) || (is_no(3) && joins) {
        return worth * NEGATED;
    }
    let next_counts = words.get(at + 1).is_some_and(|next| next.worth.is_some());
    if words[at].is("no") && next_counts {
        return 0.0;
    }
    worth
}

/// What a word before adds to or takes from a value.
fn boost(word: &Word<'_>, value: f64, differ: bool) -> f64 {
    let Some(mut boost) = word.booster() else {
        return 0.0;
    };
    if value < 0.0 {
        boost = -boost;
    }
    if word.capitals && differ {
        boost += if value > 0.0 { CAPITALS } else { -CAPITALS };
    }
    boost
}

/// Turns a value that a word `back` places before negates. The conditions are the reference's,
/// word for word, also where they bind oddly.
fn negate(words: &[Word<'_>], at: usize, back: usize, value: f64) -> f64 {
    let word = |back: usize| &words[at - back];
    let so = |back: usize| word(back).is("so") || word(back).is("this");
    let (never_so, doubtless) = match back {
        2 => (
            word(2).is("never") && so(1),
            word(2).is("without") && word(1).is("doubt"),
        ),
        3 => (
            (word(3).is("never") && so(2)) || so(1),
            word(3).is("without") && (word(2).is("doubt") || word(1).is("doubt")),
        ),
        _nearest => (false, false),
    };
    if never_so {
        value * 1.25
    } else if !doubtless && word(back).negates() {
        value * NEGATED
    } else {
        value
    }
}

/// Phrases that mean something else than their words. There are three words before `at`.
fn idioms(words: &[Word<'_>], at: usize, value: f64) -> f64 {
    let before = [
        at - 1..at + 1,
        at - 2..at + 1,
        at - 2..at,
        at - 3..at,
        at - 3..at - 1,
    ];
    let mut phrases = before
        .into_iter()
        .filter_map(|place| special_case(&words[place]));
    let mut value = phrases.next().unwrap_or(value);
    for after in [at..at + 2, at..at + 3] {
        if let Some(special) = words.get(after).and_then(special_case) {
            value = special;
        }
    }
    for phrase in [at - 3..at, at - 3..at - 1, at - 2..at] {
        value += booster(&joined(&words[phrase])).unwrap_or(0.0);
    }
    value
}

fn after_least(words: &[Word<'_>], at: usize, value: f64) -> f64 {
    let is_least = |word: &Word<'_>| word.worth.is_none() && word.is("least");
    if at == 0 || !is_least(&words[at - 1]) {
        return value;
    }
    let measured = at > 1 && (words[at - 2].is("at") || words[at - 2].is("very"));
    if measured { value } else { value * NEGATED }
}

/// What stands before the first "but" counts half, what stands after it one and a half times. As in
/// the reference, a value is looked up by its first equal.
fn weigh_by_but(words: &[Word<'_>], values: &mut [f64]) {
    let Some(but) = words.iter().position(|word| word.is("but")) else {
        return;
    };
    for at in 0..values.len() {
        let value = values[at];
        #[expect(clippy::float_cmp, reason = "the very same value is looked for")]
        let first = values.iter().position(|other| *other == value);
        match first {
            Some(first) if first < but => values[first] = value * 0.5,
            Some(first) if first > but => values[first] = value * 1.5,
            Some(_) | None => {}
        }
    }
}

/// What exclamation and question marks add.
fn emphasis(text: &str) -> f64 {
    let count = |mark: char| text.chars().filter(|c| *c == mark).take(5).count();
    let exclaimed = [0.0, 1.0, 2.0, 3.0, 4.0, 4.0][count('!')] * 0.292;
    let asked = match count('?') {
        0 | 1 => 0.0,
        2 => 2.0 * 0.18,
        3 => 3.0 * 0.18,
        _more => 0.96,
    };
    exclaimed + asked
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference implementation's answers, ten-thousandths, for the texts beside them.
    const COMPOUND: &str = include_str!("../../../fixtures/public/vader/compound.tsv");

    #[test]
    fn every_text_scores_as_by_the_reference_implementation() {
        let mut texts = 0;
        for line in COMPOUND.split_terminator('\n') {
            let (expected, text) = line.split_once('\t').unwrap();
            let scored = score(text).ten_thousandths();
            let expected: i16 = expected.parse().unwrap();
            assert!(
                (scored - expected).abs() <= 1,
                "{text:?}: {scored} {expected}"
            );
            texts += 1;
        }
        assert!(texts > 4_200);
    }

    #[test]
    fn the_tables_are_sorted_and_a_text_without_their_words_is_not_covered() {
        assert!(LEXICON.is_sorted_by(|a, b| a.0 < b.0) && LEXICON.len() > 7_000);
        assert!(EMOJI.is_sorted_by(|a, b| a.0 < b.0) && EMOJI.len() > 1_000);
        assert!(BOOSTERS.is_sorted_by(|a, b| a.0 < b.0));
        for text in ["", " ", "我很高兴", "the table stood", "????!!!!"] {
            assert_eq!(score(text), ChatScore::NOT_COVERED, "{text}");
        }
        assert!(score("😀").is_covered());
    }

    #[test]
    fn only_the_first_characters_are_scored() {
        let many = |tail: &str| format!("{}{tail}", "ü ".repeat(limits::CHAT_SCORED_CHARS / 2));
        assert!(!score(&many("terrible")).is_covered());
        assert!(score(&format!("terrible {}", many(""))).is_covered());
    }
}
