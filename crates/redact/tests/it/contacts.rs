use popwatch_redact::detect::{Budget, Look, Place, Rule, RuleSet, clean, reference_must_go, scan};
use popwatch_redact::region::Region;
use popwatch_redact::samples::Dice;

const PHONES: &str = include_str!("../../../../fixtures/public/phone-numbers/examples.tsv");

fn look(region: &str) -> Look {
    Look {
        region: Region::new(region),
        ..Look::from(Place::Text)
    }
}

fn cleaned(text: &str, look: impl Into<Look>) -> String {
    clean(text, look, &mut Budget::default(), |_| {}).unwrap_or_else(|| text.to_owned())
}

fn stays(text: &str) {
    assert_eq!(cleaned(text, look("DE")), text);
}

/// A text that holds one secret and nothing else that may go.
fn goes(secret: &str, word: &str, look: impl Into<Look> + Copy) {
    for (before, after) in [
        ("", ""),
        ("see ", " please"),
        ("(", ")."),
        ("a: ", ", b"),
        ("\"", "\""),
    ] {
        let text = format!("{before}{secret}{after}");
        assert_eq!(
            cleaned(&text, look),
            format!("{before}{word}{after}"),
            "{text:?}"
        );
    }
}

#[test]
fn bank_accounts_go_by_length_and_check_digits() {
    for account in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "de89-3704-0044-0532-0130-00",
        "GB82 WEST 1234 5698 7654 32",
        "NO93 8601 1117 947",
        "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
        "FR14 2004 1010 0505 0001 3M02 606",
        "LC55 HEMM 0001 0001 0012 0012 0002 3015",
        "ＤＥ８９ ３７０４ ００４４ ０５３２ ０１３０ ００",
        "DE89\u{200b}370400440532013000",
    ] {
        let left = cleaned(account, Place::Text);
        assert!(
            left.contains("[iban]") || left.contains("[card]"),
            "{account}: {left}"
        );
        assert!(
            !left.chars().any(|c| c.is_ascii_digit()) || left.contains("[card]"),
            "{left}"
        );
    }
    goes("GB82 WEST 1234 5698 7654 32", "[iban]", Place::Text);
    goes("GB82WEST12345698765432", "[iban]", Place::Label);
    assert_eq!(
        cleaned("IBANGB82WEST12345698765432", Place::Text),
        "IBAN[iban]"
    );
    for other in [
        "GB82WEST12345698765433",
        "GB82WEST1234569876543",
        "xGB82WEST12345698765432",
        "GB82WEST12345698765432x",
        "ZZ82WEST12345698765432",
    ] {
        assert_eq!(cleaned(other, Place::Label), other);
    }
    assert!(reference_must_go("GB82WEST12345698765432"));
    assert!(!reference_must_go("GB82WEST12345698765433"));
}

/// The check digits are made here, by another way than the detector's.
#[test]
fn every_countrys_accounts_go() {
    let countries = "NO15 BE16 DK18 FI18 NL18 SI19 AT20 LU20 CH21 HR21 DE22 GB22 IE22 IL23 ES24 SE24 \
                     PT25 TR26 FR27 IT27 PL28 CY28 BR29 UA29 KW30 MT31 SC31 LC32 RU33";
    let mut dice = Dice(3);
    for country in countries.split(' ') {
        let (code, length) = country.split_at(2);
        let length: usize = length.parse().unwrap();
        for _ in 0..200 {
            let body = dice.letters(b"0123456789ABCDEFGHJKMNPQRSTUVWXYZ", length - 4);
            let digits: String = format!("{body}{code}00")
                .chars()
                .map(|c| c.to_digit(36).unwrap().to_string())
                .collect();
            let rest = digits
                .bytes()
                .fold(0u32, |rest, byte| (rest * 10 + u32::from(byte - b'0')) % 97);
            let account = format!("{code}{:02}{body}", 98 - rest);
            let left = cleaned(&account, Place::Label);
            assert!(
                left == "[iban]" || left.contains("[card]"),
                "{account}: {left}"
            );
        }
    }
}

#[test]
fn addresses_of_both_versions_go_in_every_form() {
    for address in [
        "192.0.2.1",
        "255.255.255.255",
        "0.0.0.0",
        "010.001.000.009",
        "::1",
        "fe80::1%eth0",
        "2001:db8::",
        "2001:DB8::8:800:200C:417A",
        "::ffff:192.0.2.128",
        "::192.0.2.1",
        "64:ff9b::203.0.113.9",
        "1:2:3:4:5:6:7:8",
        "1::8",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "2001:0db8:0000:0000:0000:ff00:0042:8329",
        "1:2:3:4:5:6:1.2.3.4",
        "cfe1:4863:d50d:7abb:2b9f:d9a7:ad4b:a1e7",
        "CFE1:4863:D50D:7ABB:2B9F:D9A7:AD4B:A1E7",
    ] {
        goes(address, "[ip]", Place::Text);
        goes(address, "[ip]", Place::Label);
    }
    for (text, left) in [
        ("192.0.2.1:8080", "[ip]:8080"),
        ("192.0.2.0/24", "[ip]/24"),
        ("[2001:db8::1]:443", "[[ip]]:443"),
        ("rtmp://192.0.2.1/live", "rtmp://[ip]/live"),
        ("from:2001:db8::1.", "from:[ip]."),
        ("192%2E0%2e2.1", "[ip]"),
        ("１９２.0.2.1", "[ip]"),
    ] {
        assert_eq!(cleaned(text, Place::Text), left);
    }
    for text in [
        "v1.2.3.4",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "12:30:45",
        "std::vec",
        "::",
        "a:b:c",
        "00:1b:44:11:3a:b7",
        "2026-11-28T18:00:00",
        "12.50 13.00",
    ] {
        stays(text);
    }
    assert!(reference_must_go("192.0.2.1") && reference_must_go("2001:db8::1"));
    assert!(!reference_must_go("1.2.3") && !reference_must_go("order:192.0.2.1"));
}

#[test]
fn a_thousand_addresses_go_however_they_are_written() {
    let mut dice = Dice(5);
    for _ in 0..1_000 {
        let bits = u128::from(dice.roll()) << 64 | u128::from(dice.roll());
        let holes = dice.roll();
        let groups: Vec<u16> = (0..8u32)
            .map(|index| {
                let group = u16::try_from(bits >> (16 * index) & 0xffff).unwrap();
                if holes >> index & 1 == 1 {
                    0
                } else {
                    group >> (holes >> 8 & 7)
                }
            })
            .collect();
        let full: Vec<String> = groups.iter().map(|group| format!("{group:04x}")).collect();
        let short: Vec<String> = groups.iter().map(|group| format!("{group:X}")).collect();
        let six = std::net::Ipv6Addr::from(<[u16; 8]>::try_from(groups).unwrap());
        let four = std::net::Ipv4Addr::from(u32::try_from(bits >> 96).unwrap());
        let written = [
            full.join(":"),
            short.join(":"),
            six.to_string(),
            four.to_string(),
            format!("::ffff:{four}"),
        ];
        for address in written.iter().filter(|address| *address != "::") {
            assert_eq!(cleaned(address, Place::Label), "[ip]", "{address}");
        }
    }
}

#[test]
fn published_phone_numbers_go() {
    let (mut national, mut seen, mut missed) = (0, 0, Vec::new());
    for row in PHONES.lines() {
        let mut cells = row.split('\t');
        let mut cell = || cells.next().unwrap();
        let (region, e164, international, home) = (cell(), cell(), cell(), cell());
        // Saint Helena's numbers are the only ones shorter than eight digits.
        if e164.len() > 8 {
            for number in [e164, international, &international.replace([' ', '-'], ".")] {
                assert_eq!(cleaned(number, Place::Label), "[phone]", "{number}");
            }
        }
        let digits = home.chars().filter(char::is_ascii_digit).count();
        if digits >= 7 {
            let spoken = cleaned(&format!("my phone is {home} ok"), Place::Text);
            assert_eq!(spoken, "my phone is [phone] ok", "{home}");
        }
        seen += 1;
        if cleaned(home, look(region)) == "[phone]" {
            national += 1;
        } else {
            missed.push(home);
        }
        assert_eq!(Region::e164(Region::new(region), international), e164);
    }
    // Countries without a trunk prefix write digits in groups and nothing that tells them apart.
    assert!(
        seen == 482 && national > 225,
        "{national} of {seen}; {missed:?}"
    );
}

#[test]
fn what_only_looks_like_a_phone_number_stays() {
    for text in [
        "2026-11-28 18:00",
        "01.02.2026 12:30",
        "01/02/2026",
        "call 20261128",
        "mobile 01.02.2026",
        "0.1234567",
        "+12.50",
        "tel +3 cm",
        "call 12:30:45",
        "phone costs 1000000 EUR",
        "phone €1000000",
        "+10 000 000 EUR",
        "a+12345678",
        "0 1 2 3",
        "(12.50 13.00)",
        "1 0171 2",
    ] {
        stays(text);
    }
    for (text, left) in [
        ("0171 2345678", "[phone]"),
        ("ring (030) 123-4567 at 12:30", "ring [phone] at 12:30"),
        ("+49 (0) 30 1234567", "[phone]"),
        ("+49 30 1234567 12:30", "[phone] 12:30"),
        ("＋49 30 1234567", "[phone]"),
        ("%2B49301234567", "[phone]"),
        ("WhatsApp: 0171/2345678", "WhatsApp: [phone]"),
        ("電話0312345678", "電話[phone]"),
    ] {
        assert_eq!(cleaned(text, look("DE")), left);
    }
    assert_eq!(cleaned("0171 2345678", Place::Text), "0171 2345678");
    assert_eq!(cleaned("0171 2345678", Place::Label), "0171 2345678");
}

#[test]
fn of_a_web_address_host_and_path_stay() {
    for (text, left) in [
        (
            "https://shop.example/p?id=7&n=Ada%20L#top now",
            "https://shop.example/p now",
        ),
        ("https://ada:secret@shop.example/p", "https://[email]/p"),
        ("https://ada:secret@till/p", "https://till/p"),
        ("https://shop.example#x", "https://shop.example"),
        ("\"https://shop.example/?q\"", "\"https://shop.example/\""),
        (
            "https://shop.example/?mail=ada@shop.example&x=1",
            "https:[email]",
        ),
        ("www.shop.example/a?b", "www.shop.example/a"),
        (
            "https%3A%2F%2Fshop.example%2Fa%3Fb%3Dc",
            "https%3A%2F%2Fshop.example%2Fa",
        ),
    ] {
        assert_eq!(cleaned(text, Place::Text), left);
        assert_eq!(cleaned(left, Place::Text), left);
    }
    stays("https://shop.example/a/b");
    stays("what? #1");
}

#[test]
fn handles_go_from_free_text_alone() {
    for (text, left) in [
        ("hi @anna.bell_7, you", "hi [handle], you"),
        ("see medium.com/@anna.", "see medium.com/[handle]."),
        ("＠anna", "[handle]"),
        ("@a", "@a"),
        ("7 @ 3", "7 @ 3"),
    ] {
        assert_eq!(cleaned(text, Place::Text), left);
    }
    // A creator may be known by a handle, and is who the money goes to.
    assert_eq!(cleaned("@anna", Place::Label), "@anna");
}

#[test]
fn only_the_rules_that_were_asked_for_look() {
    let least = Look {
        rules: RuleSet::LEAST,
        ..look("DE")
    };
    let text = "@anna at 192.0.2.1, ada@shop.example";
    assert_eq!(cleaned(text, least), "@anna at 192.0.2.1, [email]");
    let more = Look {
        rules: RuleSet::LEAST.with(Rule::Ip),
        ..least
    };
    assert_eq!(cleaned(text, more), "@anna at [ip], [email]");
    assert_eq!(
        Rule::ALL.map(|rule| Rule::from_name(rule.name())),
        Rule::ALL.map(Some)
    );
    assert!(scan(text, Place::Identity, &mut Budget::default()).len() == 1);
}
