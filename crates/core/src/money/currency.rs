//! The currencies of ISO 4217 (list one, 2025) that have minor units, with their exponents.

use core::cmp::Ordering;

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

/// The exponent of a code, `None` for codes that have none.
pub(super) fn exponent(code: [u8; 3]) -> Option<u32> {
    [(2, TWO), (0, NONE), (3, THREE), (4, FOUR)]
        .into_iter()
        .find(|(_, codes)| stands(codes.as_bytes(), code))
        .map(|(exponent, _)| exponent)
}

/// Whether a code stands in a list: the lists ascend, so halving finds it.
fn stands(codes: &[u8], code: [u8; 3]) -> bool {
    let (mut from, mut to) = (0, codes.len().div_ceil(4));
    while from < to {
        let middle = from.midpoint(to);
        let Some(entry) = codes.get(middle * 4..middle * 4 + 3) else {
            return false;
        };
        match entry.cmp(&code[..]) {
            Ordering::Equal => return true,
            Ordering::Less => from = middle + 1,
            Ordering::Greater => to = middle,
        }
    }
    false
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
    }
}
