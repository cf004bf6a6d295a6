use popwatch_redact::detect::{Budget, Place, Rule, clean, is_card_number, scan};
use popwatch_redact::samples::{Dice, HIDDEN, SEPARATORS};
use proptest::prelude::*;

const NUMBERS: &str = include_str!("../../../../fixtures/public/card-numbers/pan-numbers.json");
const ADDRESSES: &str = include_str!("../../../../fixtures/public/isemail/tests.xml");

const PLACES: [Place; 5] = [
    Place::Identity,
    Place::Reference,
    Place::Sku,
    Place::Label,
    Place::Text,
];

struct Number {
    digits: String,
    /// Whether digits alone are enough: not for cards without a check digit, nor for UATP.
    bare: bool,
}

fn numbers(valid: bool) -> Vec<Number> {
    let rows: serde_json::Value = serde_json::from_str(NUMBERS).unwrap();
    let rows = rows.as_array().unwrap().iter();
    rows.filter(|row| row["valid"] == valid)
        .map(|row| {
            let digits = row["pan"].as_str().unwrap().to_owned();
            let bare = row["luhn"] == true && !digits.starts_with('1');
            Number { digits, bare }
        })
        .collect()
}

fn cleaned(text: &str, place: Place) -> String {
    clean(text, place, &mut Budget::default(), |_| {}).unwrap_or_else(|| text.to_owned())
}

fn hits(text: &str, place: Place) -> Vec<Rule> {
    let hits = scan(text, place, &mut Budget::default());
    hits.into_iter().map(|hit| hit.rule).collect()
}

fn grouped(digits: &str, by: usize, separator: &str) -> String {
    let chunks: Vec<_> = digits.as_bytes().chunks(by).collect();
    let texts: Vec<_> = chunks
        .iter()
        .map(|chunk| std::str::from_utf8(chunk).unwrap())
        .collect();
    texts.join(separator)
}

fn shifted(digits: &str, zero: u32) -> String {
    digits
        .chars()
        .map(|c| char::from_u32(zero + c.to_digit(10).unwrap()).unwrap())
        .collect()
}

/// Ways a card number is written, hidden or mangled on its way.
fn surfaces(digits: &str) -> Vec<String> {
    let mut out = Vec::new();
    for separator in SEPARATORS {
        out.push(grouped(digits, 4, separator));
    }
    out.push(format!("{}-{}", &digits[..6], &digits[6..]));
    out.push(format!("{}\n{}", &digits[..8], &digits[8..]));
    out.push(format!("{}\r\n{}", &digits[..8], &digits[8..]));
    out.push(format!("{}\\n{}", &digits[..8], &digits[8..]));
    out
}

fn bare_surfaces(digits: &str) -> Vec<String> {
    let mut out: Vec<String> = HIDDEN.iter().map(|one| grouped(digits, 1, one)).collect();
    out.extend([
        digits.to_owned(),
        shifted(digits, 0xff10),
        shifted(digits, 0x660),
        shifted(digits, 0x1d7ce),
        digits
            .chars()
            .map(|c| format!("%{:02x}", u32::from(c)))
            .collect(),
        digits
            .chars()
            .map(|c| format!("\\u{:04x}", u32::from(c)))
            .collect(),
        digits
            .chars()
            .map(|c| format!("&#{};", u32::from(c)))
            .collect(),
        format!("x{digits}"),
        format!("%B{digits}"),
        format!("{digits}abc"),
        format!("order={digits}&n=1"),
    ]);
    out
}

#[test]
fn every_valid_card_number_goes_in_every_form_and_place() {
    let frames = [
        ("", ""),
        ("paid with ", " today"),
        ("580538 ", ""),
        ("(", ")"),
        ("a:", ";b"),
    ];
    for number in numbers(true) {
        let mut forms = surfaces(&number.digits);
        if number.bare {
            forms.extend(bare_surfaces(&number.digits));
        }
        forms.push(format!("card: {}", number.digits));
        for form in &forms {
            for (before, after) in frames {
                for place in PLACES {
                    let text = format!("{before}{form}{after}");
                    let found = hits(&text, place);
                    assert!(
                        found.contains(&Rule::Pan),
                        "{text:?} in {place:?}: {found:?}"
                    );
                    let left = cleaned(&text, place);
                    let digits = left.chars().filter(char::is_ascii_digit).count();
                    assert!(digits <= 7, "{text:?} left {left:?}");
                }
            }
        }
    }
}

#[test]
fn numbers_that_are_no_cards_stay() {
    for number in numbers(false) {
        for place in PLACES {
            assert_eq!(cleaned(&number.digits, place), number.digits);
        }
    }
    for text in [
        "2026-11-28T18:00:00.123456789Z",
        "2011-12-05/580538/sale",
        "4242 4242 42",
        "12.50 13.00 14.75",
        "4111111111111111_4111"
            .strip_prefix("4111111111111111_")
            .unwrap(),
    ] {
        assert_eq!(cleaned(text, Place::Identity), text);
    }
}

#[test]
fn thirteen_digits_need_more_than_a_check_digit() {
    let thirteen = "4222222222222";
    assert_eq!(cleaned(thirteen, Place::Text), thirteen);
    assert_eq!(cleaned("4222-2222 22222", Place::Text), "[card]");
    assert_eq!(cleaned("Visa 4222222222222", Place::Text), "Visa [card]");
    assert_eq!(
        cleaned("4222222222222 on card", Place::Text),
        "[card] on card"
    );
    let far = format!("card {} 4222222222222", "x".repeat(24));
    assert_eq!(cleaned(&far, Place::Text), far);
    assert_eq!(
        cleaned("discard 4222222222222", Place::Text),
        "discard 4222222222222"
    );
}

#[test]
fn what_has_a_form_of_its_own_is_exempt() {
    for text in [
        "d41d8cd9-8f00-4204-a980-411111111111",
        "41111111-1111-4111-9111-411111111111",
        "d41d8cd94111111111111111a980411b",
        "da39a3ee5e6b4b0d4111111111111111afd80709",
        "01ARZ3NDEK4111111111111111",
    ] {
        for place in PLACES {
            assert_eq!(cleaned(text, place), text, "{place:?}");
        }
    }
    assert_eq!(cleaned("355085-651556944227", Place::Sku), "[card]");
    let variant = "5012345678900-12";
    assert_eq!(cleaned(variant, Place::Sku), variant);
    let gtin = "56000000000007";
    assert_eq!(cleaned(gtin, Place::Sku), gtin);
    assert_eq!(cleaned("4111 1111 1111 1111", Place::Sku), "[card]");
}

#[test]
fn a_long_run_is_looked_into_at_both_ends_in_prose_only() {
    let card = "4111111111111111";
    let (front, back) = (format!("{card}99999"), format!("99999{card}"));
    assert_eq!(cleaned(&front, Place::Text), "[card]99999");
    assert_eq!(cleaned(&back, Place::Text), "99999[card]");
    assert_eq!(cleaned(&front, Place::Reference), front);
    let longer = format!("{}{card}", "9".repeat(30));
    assert_eq!(cleaned(&longer, Place::Text), longer);
}

#[test]
fn tracks_codes_and_addresses_go() {
    for (text, left) in [
        ("%B4111111111111111^DOE/JANE Q^25121011234?", "[card]"),
        (
            "swiped ;4111111111111111=25121011234? ok",
            "swiped [card] ok",
        ),
        ("1234567890123456=2512101", "[card]"),
        ("CVV: 123", "CVV: [code]"),
        ("cvc2 is 1234, cid 999", "cvc2 is [code], cid [code]"),
        ("Prüfnummer 737 und mehr", "Prüfnummer [code] und mehr"),
        (
            "the security code on the back: 123",
            "the security code on the back: [code]",
        ),
        (
            "acid 123, cvvx 123, cvv 12345",
            "acid 123, cvvx 123, cvv 12345",
        ),
        ("mail ada@shop.example now", "mail [email] now"),
        ("ada%40shop.example", "[email]"),
        ("ada＠shop．example", "[email]"),
        ("søren@kød.dk, 用户@例子.广告", "[email], [email]"),
        (
            "medium.com/ada, ada@till, a@b.c",
            "medium.com/ada, ada@till, a@b.c",
        ),
    ] {
        assert_eq!(cleaned(text, Place::Text), left);
    }
    assert_eq!(cleaned("cid-1234", Place::Reference), "cid-1234");
    assert_eq!(cleaned("CSC-101", Place::Sku), "CSC-101");
}

#[test]
fn published_addresses_go_whole() {
    let mut seen = 0;
    for test in ADDRESSES.split("<test id=").skip(1) {
        let between = |open: &str, close: &str| {
            let from = test.split_once(open)?.1;
            Some(from.split_once(close)?.0)
        };
        let Some(address) = between("<address>", "</address>") else {
            continue;
        };
        let address = address.replace("&amp;", "&");
        let dotted = address
            .rsplit_once('@')
            .is_some_and(|(_, domain)| domain.contains('.'));
        if between("<category>", "</category>") == Some("ISEMAIL_VALID_CATEGORY") && dotted {
            seen += 1;
            let text = format!("mail {address} please");
            assert_eq!(
                cleaned(&text, Place::Text),
                "mail [email] please",
                "{address}"
            );
        }
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn a_hundred_thousand_stamps_and_ids_are_no_cards() {
    let mut dice = Dice(1);
    for _ in 0..25_000 {
        // 2001 to 2034.
        let ms = 1_000_000_000_000 + dice.roll() % 1_050_000_000_000;
        let us = ms * 1_000 + dice.roll() % 1_000;
        let ns = us * 1_000 + dice.roll() % 1_000;
        let stamps = [ms, us, ns].map(|stamp| stamp.to_string());
        let ulid = format!(
            "{}{}",
            dice.letters(b"01234567", 1),
            dice.letters(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", 25)
        );
        let hex = dice.letters(b"0123456789abcdef", 32);
        let uuid = format!(
            "{}-{}-4{}-a{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..15],
            &hex[15..18],
            &hex[18..30]
        );
        for text in stamps.iter().chain([&ulid, &uuid]) {
            for place in [Place::Identity, Place::Sku, Place::Text] {
                assert_eq!(hits(text, place), [], "{text} in {place:?}");
            }
        }
    }
}

#[test]
fn a_real_trading_day_holds_no_card() {
    let day = include_str!("../../../../fixtures/public/online_retail/2011-12-05-ids.txt");
    let mut seen = 0;
    for id in day.lines() {
        seen += 1;
        for place in PLACES {
            assert_eq!(hits(id, place), [], "{id}");
        }
    }
    assert!(seen > 2_000, "{seen}");
}

#[test]
fn an_integer_is_a_card_number_only_by_its_digits() {
    assert!(is_card_number(4_111_111_111_111_111));
    assert!(is_card_number(-4_111_111_111_111_111));
    assert!(is_card_number(6_011_000_990_139_424_111) || !is_card_number(411_111_111_111));
    assert!(!is_card_number(4_222_222_222_222));
    assert!(!is_card_number(1_764_352_800_000_000_000));
}

#[test]
fn many_candidates_end_in_the_error_word_not_in_a_stall() {
    let text = "4111 1111 1111 1112 ".repeat(3_000);
    let mut budget = Budget::default();
    assert_eq!(
        clean(&text, Place::Text, &mut budget, |_| {}).as_deref(),
        Some("[redaction-error]")
    );
    assert!(budget.spent());
    let text = "a@b.cc ".repeat(40_000);
    let mut budget = Budget::default();
    assert_eq!(
        clean(&text, Place::Text, &mut budget, |_| {}).as_deref(),
        Some("[redaction-error]")
    );
}

fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("4111111111111111".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("4222222222222".to_owned()),
        Just("card".to_owned()),
        Just("cvv 123".to_owned()),
        Just("ada@shop.example".to_owned()),
        Just("%B4111111111111111^A^2512?".to_owned()),
        Just("[card]".to_owned()),
        Just("%40".to_owned()),
        Just("GB82WEST12345698765432".to_owned()),
        Just("+49 30 1234567".to_owned()),
        Just("tel ".to_owned()),
        Just("::1".to_owned()),
        Just("192.0.2.1".to_owned()),
        Just("https://".to_owned()),
        Just("@anna".to_owned()),
        "[0-9 ./_,=^@%:?#+()-]{1,24}",
        "\\PC{0,6}",
    ];
    proptest::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn cleaning_twice_is_cleaning_once(text in hostile(), place in 0..PLACES.len()) {
        let once = cleaned(&text, PLACES[place]);
        prop_assert_eq!(cleaned(&once, PLACES[place]), once.clone());
        prop_assert!(scan(&once, PLACES[place], &mut Budget::default()).is_empty());
    }

    #[test]
    fn hits_lie_inside_and_apart(text in hostile()) {
        let hits = scan(&text, Place::Text, &mut Budget::default());
        let mut from = 0;
        for hit in hits {
            prop_assert!(from <= hit.start && hit.start < hit.end && hit.end <= text.len());
            prop_assert!(text.is_char_boundary(hit.start) && text.is_char_boundary(hit.end));
            from = hit.end;
        }
    }
}
