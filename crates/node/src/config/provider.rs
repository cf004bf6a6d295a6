//! `[providers.NAME]`: accounts at payment providers, and what they sign their messages with.
//!
//! Secrets come from a file or the environment and from nowhere else; no value of this module shows
//! one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use popwatch_core::id::ProviderRef;
use popwatch_core::ledger::rules::{AccountRules, FeeModel};
use popwatch_core::limits::PROVIDER_ACCOUNTS_MAX;
use popwatch_core::money::Currency;
use popwatch_core::provider::{ProviderKind, border};
use popwatch_redact::pseudonym::ReferenceKey;
use popwatch_wire::provider::{Account, Secrets};
use serde::Deserialize;

use super::ConfigFault;

const HOUR_MS: i64 = 3_600_000;

/// `[providers.NAME]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// `stripe`, `square`, `shopify` or `adyen`.
    pub kind: String,
    /// The account's name in the books and in `?account=`. Default the section's name.
    pub account: Option<String>,
    /// `live` or `test`. Default `live`.
    #[serde(default)]
    pub mode: Mode,
    /// A file with one signing secret a line, newest first, at most 4.
    pub secrets_file: Option<PathBuf>,
    /// An environment variable with the same content.
    pub secrets_env: Option<String>,
    /// The public URL the provider was given for its messages. Square signs it.
    #[serde(default)]
    pub notification_url: String,
    /// Where our references stand in an object. Default `metadata.pw_ref`, `metadata.event_id`.
    #[serde(default = "default_stamps")]
    pub stamp_keys: Vec<String>,
    /// Where the order stands in an object. Default none.
    #[serde(default)]
    pub order_keys: Vec<String>,
    /// Time zone of times without one: `Etc/UTC`, the default, or a rule as POSIX writes it in `TZ`.
    #[serde(default = "default_tz")]
    pub tz: String,
    /// `manual` or `auto`: whether an authorisation is the capture too. Default `manual`.
    #[serde(default)]
    pub capture: Capture,
    /// What a payment costs, when it is known beforehand.
    pub fees: Option<FeeConfig>,
    /// ISO 4217 codes of this account; the only one stands in for amounts that name none.
    #[serde(default)]
    pub currencies: Vec<String>,
    /// Decimals of the provider's whole numbers where they differ from the built-in table.
    #[serde(default)]
    pub exponents: BTreeMap<String, u32>,
    /// The name of the bank account that payouts go to.
    pub payout_bank: Option<String>,
    /// How long the provider keeps a payment that a device stored, hours.
    pub offline_hours: Option<u32>,
}

/// Whether real money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does.
    #[default]
    Live,
    /// It does not.
    Test,
}

/// When an authorised payment is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// By a message of its own.
    #[default]
    Manual,
    /// At once; no other message comes.
    Auto,
}

/// How the settlement files of one account are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTerms {
    /// The account's name in the books.
    pub account: String,
    /// Columns that hold references stamped by a till.
    pub stamp_columns: Vec<String>,
    /// Columns that hold the order.
    pub order_columns: Vec<String>,
    /// The zone of times without one.
    pub tz: String,
    /// Whether the account is a test one.
    pub test: bool,
}

/// How the files of all accounts are read.
pub fn files(providers: &BTreeMap<String, ProviderConfig>) -> Result<Vec<FileTerms>, ConfigFault> {
    let terms = providers.iter().map(|(name, config)| {
        if popwatch_wire::settlement::zone(&config.tz).is_none() {
            let problem = "is neither Etc/UTC nor a rule such as CET-1CEST,M3.5.0,M10.5.0/3";
            return Err(fault(name, "tz", problem.to_owned()));
        }
        Ok(FileTerms {
            account: config.account_name(name)?.to_owned(),
            stamp_columns: columns(&config.stamp_keys),
            order_columns: columns(&config.order_keys),
            tz: config.tz.clone(),
            test: config.mode == Mode::Test,
        })
    });
    terms.collect()
}

/// Where a file has what stands at these places of an object: as it is called there, and as Stripe's
/// reports call what was stamped into a payment.
fn columns(keys: &[String]) -> Vec<String> {
    let all = keys.iter().flat_map(|key| {
        let stamped = key.strip_prefix("metadata.");
        let reported = stamped.map(|name| format!("payment_metadata[{name}]"));
        [Some(key.clone()), reported].into_iter().flatten()
    });
    all.collect()
}

/// `fees`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeConfig {
    /// Millionths of the amount.
    pub percent_ppm: u32,
    /// Minor units beside it.
    #[serde(default)]
    pub fixed: i64,
    /// At most this, minor units.
    pub cap: Option<i64>,
    /// What a dispute costs, minor units.
    pub dispute: Option<i64>,
}

fn default_stamps() -> Vec<String> {
    ["metadata.pw_ref", "metadata.event_id"]
        .map(String::from)
        .into()
}
fn default_tz() -> String {
    String::from("Etc/UTC")
}

impl ProviderConfig {
    /// A test-mode account with everything at its default.
    #[must_use]
    pub fn test(kind: &str, secrets_file: PathBuf) -> Self {
        Self {
            kind: kind.to_owned(),
            account: None,
            mode: Mode::Test,
            secrets_file: Some(secrets_file),
            secrets_env: None,
            notification_url: String::new(),
            stamp_keys: default_stamps(),
            order_keys: Vec::new(),
            tz: default_tz(),
            capture: Capture::default(),
            fees: None,
            currencies: Vec::new(),
            exponents: BTreeMap::new(),
            payout_bank: None,
            offline_hours: None,
        }
    }

    /// The provider.
    pub fn provider(&self, name: &str) -> Result<ProviderKind, ConfigFault> {
        ProviderKind::from_text(&self.kind).ok_or_else(|| {
            fault(
                name,
                "kind",
                String::from("must be stripe, square, shopify or adyen"),
            )
        })
    }

    /// The account's checked name in the books.
    pub fn account_name<'a>(&'a self, name: &'a str) -> Result<&'a str, ConfigFault> {
        let account = self.account.as_deref().unwrap_or(name);
        let plain = ProviderRef::new(account).is_ok() && account.len() <= 64;
        let problem = || String::from("must be letters, digits and marks, at most 64");
        plain
            .then_some(account)
            .ok_or_else(|| fault(name, "account", problem()))
    }

    /// What the books are told of the account.
    pub fn rules(&self, name: &str) -> Result<AccountRules, ConfigFault> {
        let provider = self.provider(name)?;
        // Where a provider states no life, three quarters of it are 20 hours: then people are warned.
        let life_ms = match provider {
            ProviderKind::Square | ProviderKind::Adyen | ProviderKind::Shopify => 24 * HOUR_MS,
            ProviderKind::Stripe => 20 * HOUR_MS * 4 / 3,
        };
        Ok(AccountRules {
            name: self.account_name(name)?.to_owned(),
            provider,
            fees: self.fees.map(|fees| FeeModel {
                percent_ppm: fees.percent_ppm,
                fixed: fees.fixed,
                cap: fees.cap,
            }),
            dispute_fee: self.fees.and_then(|fees| fees.dispute),
            offline_life_ms: self
                .offline_hours
                .map_or(life_ms, |hours| i64::from(hours) * HOUR_MS),
            payout_bank: self.payout_bank.clone(),
        })
    }

    /// How its messages are read; none for an account without secrets, which takes none.
    pub fn reader(
        &self,
        name: &str,
        reference: &ReferenceKey,
    ) -> Result<Option<Account>, ConfigFault> {
        let kind = self.provider(name)?;
        let account = self.account_name(name)?.to_owned();
        let codes = self.currencies.iter().map(String::as_str);
        let currencies = codes
            .map(|code| currency(name, "currencies", code))
            .collect::<Result<Vec<_>, _>>()?;
        let exponents = self.exponents(name)?;
        let Some(secrets) = self.secrets(name, kind)? else {
            return Ok(None);
        };
        if kind == ProviderKind::Square && self.notification_url.is_empty() {
            return Err(fault(
                name,
                "notification_url",
                String::from("is missing; Square signs the URL it was given"),
            ));
        }
        Ok(Some(Account {
            name: account,
            kind,
            is_live: self.mode == Mode::Live,
            secrets,
            notification_url: self.notification_url.clone(),
            stamp_keys: self.stamp_keys.clone(),
            order_keys: self.order_keys.clone(),
            captures_at_once: self.capture == Capture::Auto,
            currency: match currencies.as_slice() {
                [only] => Some(*only),
                _ => None,
            },
            exponents,
            reference: reference.clone(),
        }))
    }

    fn exponents(&self, name: &str) -> Result<Vec<(Currency, u32)>, ConfigFault> {
        let row = |(code, exponent): (&String, &u32)| {
            if *exponent > border::EXPONENT_MAX {
                let problem = format!("of {code} is more than {}", border::EXPONENT_MAX);
                return Err(fault(name, "exponents", problem));
            }
            Ok((currency(name, "exponents", code)?, *exponent))
        };
        self.exponents.iter().map(row).collect()
    }

    fn secrets(&self, name: &str, kind: ProviderKind) -> Result<Option<Secrets>, ConfigFault> {
        let (field, text) = match (&self.secrets_file, &self.secrets_env) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                let problem = String::from("and secrets_env are both set; keep one");
                return Err(fault(name, "secrets_file", problem));
            }
            (Some(path), None) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|source| ConfigFault::Unreadable {
                    path: path.clone(),
                    source,
                })?;
                ("secrets_file", text)
            }
            (None, Some(variable)) => {
                let text = std::env::var(variable).map_err(|_| {
                    let problem = String::from("names an environment variable that is not set");
                    fault(name, "secrets_env", problem)
                })?;
                ("secrets_env", text)
            }
        };
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        Secrets::new(kind, &lines)
            .map(Some)
            .map_err(|problem| fault(name, field, problem.to_string()))
    }
}

/// All accounts: their rules, ascending by name, and the readers of those that take messages.
pub fn accounts(
    providers: &BTreeMap<String, ProviderConfig>,
    reference: &ReferenceKey,
) -> Result<(Vec<AccountRules>, Vec<Account>), ConfigFault> {
    if providers.len() > PROVIDER_ACCOUNTS_MAX {
        return Err(ConfigFault::Value {
            field: String::from("providers"),
            problem: format!("has more than {PROVIDER_ACCOUNTS_MAX} accounts"),
        });
    }
    let (mut rules, mut readers) = (Vec::new(), Vec::new());
    for (name, config) in providers {
        rules.push(config.rules(name)?);
        readers.extend(config.reader(name, reference)?);
    }
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = rules.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let problem = String::from("is the name of two accounts; give each its own");
        return Err(fault(&pair[0].name, "account", problem));
    }
    Ok((rules, readers))
}

fn currency(name: &str, field: &str, code: &str) -> Result<Currency, ConfigFault> {
    Currency::new(code).ok_or_else(|| {
        let problem = format!("{code} is not an ISO 4217 currency with minor units");
        fault(name, field, problem)
    })
}

fn fault(name: &str, field: &str, problem: String) -> ConfigFault {
    ConfigFault::Value {
        field: format!("providers.{name}.{field}"),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> BTreeMap<String, ProviderConfig> {
        toml::from_str(text).unwrap()
    }

    fn checked(text: &str) -> Result<(Vec<AccountRules>, Vec<Account>), ConfigFault> {
        accounts(&read(text), &ReferenceKey::new([1; 32]))
    }

    #[test]
    fn an_account_needs_its_kind_alone_and_then_takes_no_messages() {
        let (rules, readers) = checked("[main]\nkind = \"stripe\"\n").unwrap();
        assert_eq!((rules.len(), readers.len()), (1, 0));
        assert_eq!((rules[0].name.as_str(), rules[0].fees), ("main", None));
        assert_eq!(rules[0].offline_life_ms * 3 / 4, 20 * HOUR_MS);
    }

    #[test]
    fn secrets_of_a_file_are_read_and_never_shown() {
        let folder = std::env::temp_dir().join(format!("popwatch-secrets-{}", std::process::id()));
        std::fs::write(&folder, "whsec_new\n\n  whsec_old \n").unwrap();
        let text = format!(
            "[main]\nkind = \"stripe\"\nmode = \"test\"\nsecrets_file = {:?}\nfees = {{ percent_ppm = 14000, fixed = 20 }}\n",
            folder.display().to_string()
        );
        let (rules, readers) = checked(&text).unwrap();
        std::fs::remove_file(&folder).unwrap();
        assert!(!readers[0].is_live);
        assert_eq!(rules[0].fees.map(|fees| fees.fixed), Some(20));
        let shown = format!("{readers:?} {:?}", read(&text));
        assert!(!shown.contains("whsec"), "{shown}");
        assert!(shown.contains("Secrets(2)"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, part) in [
            ("[a]\nkind = \"paypal\"\n", "providers.a.kind"),
            (
                "[a]\nkind = \"stripe\"\naccount = \"a b\"\n",
                "providers.a.account",
            ),
            (
                "[a]\nkind = \"stripe\"\ncurrencies = [\"XXX\"]\n",
                "providers.a.currencies",
            ),
            (
                "[a]\nkind = \"stripe\"\nexponents = { GBP = 9 }\n",
                "providers.a.exponents",
            ),
            (
                "[a]\nkind = \"stripe\"\nsecrets_env = \"POPWATCH_NOT_SET_X\"\n",
                "secrets_env",
            ),
            (
                "[a]\nkind = \"stripe\"\nsecrets_file = \"x\"\nsecrets_env = \"y\"\n",
                "both set",
            ),
            (
                "[a]\nkind = \"stripe\"\n[b]\nkind = \"adyen\"\naccount = \"a\"\n",
                "two accounts",
            ),
        ] {
            let fault = checked(text).unwrap_err().to_string();
            assert!(fault.contains(part), "{fault}");
        }
        assert!(
            toml::from_str::<BTreeMap<String, ProviderConfig>>(
                "[a]\nkind = \"stripe\"\nsecret = \"x\"\n"
            )
            .is_err()
        );
    }
}
