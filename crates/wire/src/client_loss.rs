//! `Popwatch-Client-Loss: ambient=12, journey=3`: what a client's own outbox had no room for.
//!
//! Only a hint from outside, so it is read strictly: a header that is not exactly of this form
//! counts nothing.

use popwatch_core::event::Class;
use popwatch_core::limits::CLIENT_LOSS_BYTES_MAX;

/// The header's name, in lower case.
pub const HEADER: &str = "popwatch-client-loss";
/// More events than any outbox ever held.
const COUNT_MAX: u64 = 1_000_000_000;

/// Reads the header: counts of classes a client may lose, each at most once; `None` when it is not
/// of the form.
#[must_use]
pub fn parse(text: &str) -> Option<Vec<(Class, u64)>> {
    if text.len() > CLIENT_LOSS_BYTES_MAX {
        return None;
    }
    let mut counts: Vec<(Class, u64)> = Vec::new();
    for part in text.split(',') {
        let (name, count) = part.trim().split_once('=')?;
        let class = Class::ALL.into_iter().find(|class| class.name() == name)?;
        let digits = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        let count = digits.then(|| count.parse::<u64>().ok())??;
        let twice = counts.iter().any(|(known, _)| *known == class);
        if class == Class::System || twice || count > COUNT_MAX {
            return None;
        }
        counts.push((class, count));
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_counts() {
        assert_eq!(parse("ambient=12"), Some(vec![(Class::Ambient, 12)]));
        assert_eq!(
            parse("ambient=12, journey=0"),
            Some(vec![(Class::Ambient, 12), (Class::Journey, 0)])
        );
        let long = format!("ambient={}", "1".repeat(CLIENT_LOSS_BYTES_MAX));
        for bad in [
            "",
            "ambient",
            "ambient=",
            "ambient=-1",
            "ambient=+1",
            "chat=1",
            "system=1",
            "ambient=1,ambient=2",
            "ambient=1,",
            "ambient=1000000001",
            "ambient=1e3",
            &long,
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
