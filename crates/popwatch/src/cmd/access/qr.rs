//! QR codes on a terminal: two rows of modules in one line of half blocks, dark on light.

use qrcodegen::{QrCode, QrCodeEcc};

/// The light rim that a reader needs, modules.
const RIM: i32 = 2;

/// The lines of a code; `None` for a text that is too long.
pub(super) fn lines(text: &str) -> Option<Vec<String>> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let side = code.size();
    let is_dark = |x, y| code.get_module(x, y);
    let row = |y| {
        let cells = (-RIM..side + RIM).map(move |x| (x, y));
        // A terminal is dark: what prints is light.
        let blocks = cells.map(|(x, y)| match (is_dark(x, y), is_dark(x, y + 1)) {
            (false, false) => '\u{2588}',
            (false, true) => '\u{2580}',
            (true, false) => '\u{2584}',
            (true, true) => ' ',
        });
        blocks.collect::<String>()
    };
    Some((-RIM..side + RIM).step_by(2).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_finders_and_its_rim() {
        let lines = lines("pw1.abc").unwrap();
        // Version 1: 21 modules and the rim.
        assert_eq!(lines.len(), 13);
        assert!(lines.iter().all(|line| line.chars().count() == 25));
        assert_eq!(lines[0], "\u{2588}".repeat(25));
        // The finder's upper edge: seven dark modules above one dark, five light, one dark.
        let finder: String = lines[1].chars().skip(2).take(7).collect();
        assert_eq!(finder, " \u{2584}\u{2584}\u{2584}\u{2584}\u{2584} ");
        assert!(super::lines(&"x".repeat(3_000)).is_none());
    }
}
