//! What one process is told at start: which roles, where they listen, whom they feed.
//!
//! TOML; unknown keys are refused, units stand in the names. Everything has a default but the
//! window of a popup.

mod commerce;
mod promises;
pub mod provider;

pub use commerce::{CommerceConfig, CoopConfig, CoopMemberConfig, ShareConfig};
pub use promises::{PlanStepConfig, PromisesConfig, SloConfig};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use popwatch_core::event::system::PopupPolicy;
use popwatch_core::id::{PopupId, RigId};
use popwatch_core::limits::{ALERT_TARGETS_MAX, REGIONS_MAX};
use popwatch_core::slo::promises::PromiseFault;
use popwatch_wire::policy::SectionFault;
use serde::Deserialize;

use crate::client::Client;
use provider::ProviderConfig;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where journals, books and keys live. Default `popwatch-data`.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// The edge, if this process is one.
    pub edge: Option<EdgeConfig>,
    /// The region, if this process is one.
    pub region: Option<RegionConfig>,
    /// The ledger, if this process is one.
    pub ledger: Option<LedgerConfig>,
    /// Popups known before their first event.
    #[serde(default)]
    pub popups: Vec<PopupConfig>,
    /// Accounts at payment providers, by name.
    #[serde(default)]
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Who may call.
    #[serde(default)]
    pub access: AccessConfig,
    /// Whether other machines are answered over plain HTTP too. Default false: they are answered over
    /// TLS; this machine always may speak plain HTTP.
    #[serde(default)]
    pub plain_http: bool,
}

/// `[access]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessConfig {
    /// The organisation whose passes are taken. Default `local`: whoever sits at this machine needs none.
    #[serde(default = "default_org")]
    pub org: String,
    /// The public access key, as `popwatch access keygen` prints it; that of the data directory if
    /// absent.
    pub key: Option<String>,
    /// The pass this process shows to its peers, in a file.
    pub pass_file: Option<PathBuf>,
    /// Whether views are shown over HTTP without encryption beyond this machine, and nothing else is
    /// taken there. Default false.
    #[serde(default)]
    pub plain_lan: bool,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            org: default_org(),
            key: None,
            pass_file: None,
            plain_lan: false,
        }
    }
}

/// `[edge]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeConfig {
    /// Default `127.0.0.1:8710`.
    #[serde(default = "default_edge")]
    pub listen: SocketAddr,
    /// This rig's name. Default `till-1`.
    #[serde(default = "default_rig")]
    pub rig: String,
    /// The popup of events that name none.
    pub popup: Option<String>,
    /// Base URL of the ledger, such as `http://127.0.0.1:8730`.
    pub ledger: Option<String>,
    /// Base URLs of the regions, at most 4.
    #[serde(default)]
    pub regions: Vec<String>,
    /// 64 hex digits from which pseudonyms are keyed; drawn and kept in the data directory when
    /// absent. Rigs that should agree on pseudonyms share it.
    pub pseudonym_key: Option<String>,
    /// Whether battery, heat, network and disk of this host are looked at. Default true.
    #[serde(default = "default_probes")]
    pub host_probes: bool,
    /// What stands for `/` when `sys` and `proc` are looked into. Default `/`.
    #[serde(default = "default_root")]
    pub host_root: PathBuf,
    /// Where the `upsd` of the rig's UPS listens; 127.0.0.1:3493 is tried when absent.
    pub host_upsd: Option<SocketAddr>,
    /// Addresses that a dry run of a checkout asks every 10 s while a popup is open: the terminal's
    /// bridge, the provider. At most 4; none, and no dry runs are made.
    #[serde(default)]
    pub checkout_probe: Vec<String>,
    /// Names, without port, under which browsers may call it beside its address and loopback.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// `[region]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionConfig {
    /// Default `127.0.0.1:8720`.
    #[serde(default = "default_region")]
    pub listen: SocketAddr,
    /// Regions that are told all news of this one: a hub on site feeds those in the town.
    #[serde(default)]
    pub upstream: Vec<String>,
    /// A Redis or Valkey that several regions share, as `redis://[:password@]host:port`.
    pub mirror: Option<String>,
    /// Names, without port, under which browsers may call it beside its address and loopback.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Who is told of pages, at most 8.
    #[serde(default)]
    pub alerts: Vec<AlertTarget>,
}

/// One entry of `alerts`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertTarget {
    /// What it is.
    pub kind: AlertKind,
    /// `http://host:port/path` of a webhook receiver; the base URL of an Alertmanager.
    pub url: String,
}

/// What takes pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A receiver of Alertmanager's webhooks, version 4.
    Webhook,
    /// An Alertmanager.
    Alertmanager,
}

/// `[ledger]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// Default `127.0.0.1:8730`.
    #[serde(default = "default_ledger")]
    pub listen: SocketAddr,
    /// Regions whose cells are compared with the re-fold when books are reconciled.
    #[serde(default)]
    pub regions: Vec<String>,
    /// A PostgreSQL database for the books, as `postgres://user@host/database`. Default: the file
    /// `books.sqlite` in the data directory.
    pub store: Option<StoreAddress>,
    /// A file that holds what `store` would say, for one with a password in it.
    pub store_file: Option<PathBuf>,
    /// The rigs' `pseudonym_key`, for a ledger that takes messages or files of providers.
    pub pseudonym_key: Option<String>,
    /// Names, without port, under which browsers may call it beside its address and loopback.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// Where a store is. It may hold a password, so `Debug` shows nothing of it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct StoreAddress(pub String);

impl std::fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreAddress(..)")
    }
}

/// `[[popups]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PopupConfig {
    /// Its id.
    pub id: String,
    /// Start of the window, RFC 3339.
    pub starts: String,
    /// End of the window, exclusive, RFC 3339.
    pub ends: String,
    /// IANA time zone for people. Default `UTC`.
    #[serde(default = "default_zone")]
    pub zone: String,
    /// ISO 4217 codes expected.
    #[serde(default)]
    pub currencies: Vec<String>,
    /// A checkout that takes longer is late, ms. Default 60 000.
    #[serde(default = "default_limit")]
    pub checkout_limit_ms: u32,
    /// What it promises creators, co-ops, buyers and suppliers.
    pub commerce: Option<commerce::CommerceConfig>,
    /// What it promises those who buy. Default: the defaults of each promise, no plan.
    pub promises: Option<promises::PromisesConfig>,
}

fn default_org() -> String {
    String::from(crate::access::LOCAL_ORG)
}
fn default_data() -> PathBuf {
    PathBuf::from("popwatch-data")
}
fn default_edge() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8710))
}
fn default_region() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8720))
}
fn default_ledger() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8730))
}
pub(crate) fn default_rig() -> String {
    String::from("till-1")
}
fn default_probes() -> bool {
    true
}
fn default_root() -> PathBuf {
    PathBuf::from("/")
}
fn default_zone() -> String {
    String::from("UTC")
}
fn default_limit() -> u32 {
    60_000
}

/// Which role a process plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoleName {
    /// Admits, journals, folds, ships.
    Edge,
    /// Holds cells, serves live reads.
    Region,
    /// Holds records and books.
    Ledger,
}

impl RoleName {
    /// Its name on the command line and on pages.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Region => "region",
            Self::Ledger => "ledger",
        }
    }

    /// The role as the route table names it.
    pub(crate) const fn routes(self) -> popwatch_wire::routes::Role {
        match self {
            Self::Edge => popwatch_wire::routes::Role::Edge,
            Self::Region => popwatch_wire::routes::Role::Region,
            Self::Ledger => popwatch_wire::routes::Role::Ledger,
        }
    }
}

/// Why a configuration was refused (PW1101, PW1102).
#[derive(Debug, thiserror::Error)]
pub enum ConfigFault {
    /// The file could not be read.
    #[error("PW1102: configuration {} cannot be read; check the path and its rights", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, has an unknown key or a value of the wrong type.
    #[error("PW1101: configuration {}: {detail}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        detail: String,
    },
    /// A promise that nobody can keep.
    #[error("PW3301: popups.promises of {popup}: {fault}")]
    Promise {
        /// Whose.
        popup: PopupId,
        /// What is wrong with it.
        fault: PromiseFault,
    },
    /// A value outside its rule.
    #[error("PW1101: {field} {problem}")]
    Value {
        /// The key.
        field: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
}

impl Config {
    /// What stands for `/` when the system is looked at.
    #[must_use]
    pub fn host_root(&self) -> &Path {
        let edge = self.edge.as_ref();
        edge.map_or(Path::new("/"), |edge| &edge.host_root)
    }

    /// All three roles on this machine, with their defaults, feeding each other.
    #[must_use]
    pub fn all(data: &Path) -> Self {
        Self {
            data: data.to_path_buf(),
            edge: Some(EdgeConfig {
                listen: default_edge(),
                rig: default_rig(),
                popup: None,
                ledger: Some(format!("http://{}", default_ledger())),
                regions: vec![format!("http://{}", default_region())],
                pseudonym_key: None,
                host_probes: true,
                checkout_probe: Vec::new(),
                host_root: default_root(),
                host_upsd: None,
                hosts: Vec::new(),
            }),
            region: Some(RegionConfig {
                listen: default_region(),
                upstream: Vec::new(),
                mirror: None,
                hosts: Vec::new(),
                alerts: Vec::new(),
            }),
            ledger: Some(LedgerConfig {
                listen: default_ledger(),
                regions: vec![format!("http://{}", default_region())],
                store: None,
                store_file: None,
                pseudonym_key: None,
                hosts: Vec::new(),
            }),
            popups: Vec::new(),
            providers: BTreeMap::new(),
            access: AccessConfig::default(),
            plain_http: false,
        }
    }

    /// Reads a TOML file.
    pub fn read(path: &Path) -> Result<Self, ConfigFault> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigFault::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        toml::from_str(&text).map_err(|fault| ConfigFault::Wrong {
            path: path.to_path_buf(),
            detail: fault.to_string(),
        })
    }

    /// Leaves only the named roles. A role that the file does not configure gets its defaults.
    #[must_use]
    pub fn only(mut self, roles: &[RoleName]) -> Self {
        let defaults = Self::all(&self.data);
        let keep = |role| roles.contains(&role);
        self.edge = keep(RoleName::Edge)
            .then(|| self.edge.or(defaults.edge))
            .flatten();
        self.region = keep(RoleName::Region)
            .then(|| self.region.or(defaults.region))
            .flatten();
        self.ledger = keep(RoleName::Ledger)
            .then(|| self.ledger.or(defaults.ledger))
            .flatten();
        self
    }
}

impl EdgeConfig {
    /// Refuses more regions than one rig feeds.
    pub fn check_regions(&self) -> Result<(), ConfigFault> {
        if self.regions.len() <= REGIONS_MAX {
            return Ok(());
        }
        Err(ConfigFault::Value {
            field: String::from("edge.regions"),
            problem: format!("has more than {REGIONS_MAX} entries"),
        })
    }

    /// The rig's checked name.
    pub fn rig_id(&self) -> Result<RigId, ConfigFault> {
        RigId::new(&self.rig).map_err(|fault| ConfigFault::Value {
            field: String::from("edge.rig"),
            problem: format!("{fault}; write a name such as till-1"),
        })
    }

    /// The checked default popup.
    pub fn popup_id(&self) -> Result<Option<PopupId>, ConfigFault> {
        let check = |text: &String| {
            PopupId::new(text).map_err(|fault| ConfigFault::Value {
                field: String::from("edge.popup"),
                problem: format!("{fault}; write a name such as night-market"),
            })
        };
        self.popup.as_ref().map(check).transpose()
    }
}

impl RegionConfig {
    /// Refuses more targets than pages are sent to.
    pub fn check_alerts(&self) -> Result<(), ConfigFault> {
        let wrong = |problem: String| ConfigFault::Value {
            field: String::from("region.alerts"),
            problem,
        };
        if self.alerts.len() > ALERT_TARGETS_MAX {
            return Err(wrong(format!("has more than {ALERT_TARGETS_MAX} entries")));
        }
        for target in &self.alerts {
            Client::place_of(&target.url).map_err(|fault| wrong(fault.to_string()))?;
        }
        Ok(())
    }

    /// Refuses more regions than one region feeds.
    pub fn check_upstream(&self) -> Result<(), ConfigFault> {
        if self.upstream.len() <= REGIONS_MAX {
            return Ok(());
        }
        Err(ConfigFault::Value {
            field: String::from("region.upstream"),
            problem: format!("has more than {REGIONS_MAX} entries"),
        })
    }

    /// Where the mirror is, if there is to be one.
    pub(crate) fn mirror(&self) -> Result<Option<crate::mirror::Address>, ConfigFault> {
        let Some(url) = &self.mirror else {
            return Ok(None);
        };
        let address = crate::mirror::Address::read(url).ok_or_else(|| ConfigFault::Value {
            field: String::from("region.mirror"),
            problem: String::from("is not of the form redis://[:password@]host:port"),
        })?;
        Ok(Some(address))
    }
}

impl ConfigFault {
    fn of_section(name: &str, popup: &PopupId, fault: SectionFault) -> Self {
        match fault {
            SectionFault::Field { field, problem } => Self::Value {
                field: format!("popups.{name}.{field} of {popup}"),
                problem,
            },
            SectionFault::Promise(fault) => Self::Promise {
                popup: popup.clone(),
                fault,
            },
        }
    }
}

impl PopupConfig {
    /// The window as the journal states it.
    pub fn policy(&self) -> Result<PopupPolicy, ConfigFault> {
        let id = PopupId::new(&self.id).map_err(|fault| ConfigFault::Value {
            field: String::from("popups.id"),
            problem: fault.to_string(),
        })?;
        let moment = |field: &str, text: &str| {
            popwatch_wire::json::rfc3339_ms(text).ok_or_else(|| ConfigFault::Value {
                field: format!("popups.{field} of {id}"),
                problem: String::from("is not an RFC 3339 time such as 2026-11-28T17:00:00Z"),
            })
        };
        let (starts_ms, ends_ms) = (moment("starts", &self.starts)?, moment("ends", &self.ends)?);
        if ends_ms <= starts_ms {
            return Err(ConfigFault::Value {
                field: format!("popups.ends of {id}"),
                problem: String::from("must lie after its start"),
            });
        }
        for code in &self.currencies {
            if popwatch_core::money::Currency::new(code).is_none() {
                return Err(ConfigFault::Value {
                    field: format!("popups.currencies of {id}"),
                    problem: format!("{code} is not an ISO 4217 currency with minor units"),
                });
            }
        }
        let commerce = (self.commerce.as_ref())
            .map(|said| commerce::checked(said, &id))
            .transpose()?;
        let promises = (self.promises.as_ref())
            .map(|said| promises::checked(said, &id))
            .transpose()?;
        Ok(PopupPolicy {
            popup: String::from(&id),
            version: 1,
            digest: Vec::new(),
            starts_ms,
            ends_ms,
            zone: self.zone.clone(),
            currencies: self.currencies.clone(),
            checkout_limit_ms: self.checkout_limit_ms,
            commerce,
            promises,
            cells: None,
            coop: None,
        })
    }
}
