//! Which currency a sale is in: one for all, or that of its Country.

use popwatch_core::money::Currency;

/// How the currency of a document is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurrencyRule {
    /// All amounts are in GBP: the plain reading of a sheet.
    Pounds,
    /// The currency of each document's Country, with the same integer of minor units. Invented, to
    /// have a popup in many currencies.
    ByCountry,
}

/// The currency of a Country as the data set writes it; `None` for one it does not know.
#[must_use]
pub fn currency_of_country(country: &str) -> Option<Currency> {
    let code = match country {
        "Austria" | "Belgium" | "Bulgaria" | "Croatia" | "Cyprus" | "EIRE" | "Estonia"
        | "European Community" | "Finland" | "France" | "Germany" | "Greece" | "Ireland"
        | "Italy" | "Latvia" | "Lithuania" | "Luxembourg" | "Malta" | "Netherlands"
        | "Portugal" | "Slovakia" | "Slovenia" | "Spain" => "EUR",
        "Channel Islands" | "United Kingdom" | "Unspecified" => "GBP",
        "Australia" => "AUD",
        "Bahrain" => "BHD",
        "Bermuda" => "BMD",
        "Brazil" => "BRL",
        "Canada" => "CAD",
        "Czech Republic" => "CZK",
        "Denmark" => "DKK",
        "Hong Kong" => "HKD",
        "Iceland" => "ISK",
        "Israel" => "ILS",
        "Japan" => "JPY",
        "Korea" => "KRW",
        "Lebanon" => "LBP",
        "Nigeria" => "NGN",
        "Norway" => "NOK",
        "Poland" => "PLN",
        "RSA" => "ZAR",
        "Saudi Arabia" => "SAR",
        "Singapore" => "SGD",
        "Sweden" => "SEK",
        "Switzerland" => "CHF",
        "Thailand" => "THB",
        "USA" | "West Indies" => "USD",
        "United Arab Emirates" => "AED",
        _ => return None,
    };
    Currency::new(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_countries_of_the_data_set_have_currencies() {
        for (country, code, exponent) in [
            ("EIRE", "EUR", 2),
            ("Unspecified", "GBP", 2),
            ("Channel Islands", "GBP", 2),
            ("Japan", "JPY", 0),
            ("Bahrain", "BHD", 3),
            ("RSA", "ZAR", 2),
        ] {
            let currency = currency_of_country(country).unwrap();
            assert_eq!(
                (currency.code(), currency.exponent()),
                (code, exponent),
                "{country}"
            );
        }
        assert_eq!(currency_of_country("Atlantis"), None);
    }
}
