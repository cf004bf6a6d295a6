//! The currencies of ISO 4217 (list one, 2025) that have minor units, with their exponents.

/// Codes with two decimal digits.
const TWO: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD \
BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD \
FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK \
LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR \
NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC \
SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
/// Codes with none.
const NONE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
/// Codes with three.
const THREE: &str = "BHD IQD JOD KWD LYD OMR TND";
/// Codes with four.
const FOUR: &str = "CLF UYW";

/// The exponent of each code of three capital letters, plus one; 0 where there is none. Cells and
/// records name a currency in every row, so it is looked up and not searched for.
static EXPONENTS: [u8; LETTERS * LETTERS * LETTERS] = {
    let mut all = [0; LETTERS * LETTERS * LETTERS];
    enter(&mut all, TWO, 2);
    enter(&mut all, NONE, 0);
    enter(&mut all, THREE, 3);
    enter(&mut all, FOUR, 4);
    all
};
const LETTERS: usize = 26;

/// The exponent of a code, `None` for codes that have none.
pub(super) fn exponent(code: [u8; 3]) -> Option<u32> {
    let known = EXPONENTS.get(place(code)?)?;
    known.checked_sub(1).map(u32::from)
}

const fn enter(all: &mut [u8], codes: &str, exponent: u8) {
    let codes = codes.as_bytes();
    let mut at = 0;
    while at + 2 < codes.len() {
        let code = [codes[at], codes[at + 1], codes[at + 2]];
        let place = place(code).expect("codes are capital letters");
        all[place] = exponent + 1;
        at += 4;
    }
}

const fn place(code: [u8; 3]) -> Option<usize> {
    let (mut place, mut at) = (0, 0);
    while at < code.len() {
        if !code[at].is_ascii_uppercase() {
            return None;
        }
        place = place * LETTERS + (code[at] - b'A') as usize;
        at += 1;
    }
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_once_in_order_and_whole() {
        for codes in [TWO, NONE, THREE, FOUR] {
            let list: std::vec::Vec<_> = codes.split(' ').collect();
            assert!(list.iter().all(|code| code.len() == 3), "{codes}");
            assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "{codes}");
            for code in list {
                assert!(
                    exponent(code.as_bytes().try_into().unwrap()).is_some(),
                    "{code}"
                );
            }
        }
        assert_eq!(exponent(*b"GBP"), Some(2));
        assert_eq!(exponent(*b"JPY"), Some(0));
        assert_eq!(exponent(*b"KWD"), Some(3));
        assert_eq!(exponent(*b"XAU"), None);
        for none in [*b"eur", *b"EU ", [0xFF; 3], *b"@[{", *b"AAA", *b"ZZZ"] {
            assert_eq!(exponent(none), None);
        }
    }
}
