//! Who may do what: the table of scopes and actions, what a policy takes away from it, and the one
//! decision that every door asks for.
//!
//! ```text
//! pass ──► Subject ─┐
//! second factor ────┼──► decide ──► allowed, or a Denial with its code
//! Rules (policy) ───┤
//! Ask (the route) ──┘
//! ```
//!
//! What always holds: what the table does not allow is denied, and rules only take away; a subject
//! reaches no popup, creator, co-op or rig beside its own. [`raw`] is the way to single records.

pub mod raw;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::code::Code;

macro_rules! names {
    ($(#[$doc:meta])* $kind:ident { $($name:ident = $text:literal, $says:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind { $(#[doc = $says] $name,)* }

        impl $kind {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in passes, policies and the audit trail.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it is, for a reader.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => $says,)* }
            }

            /// The one with this name.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.text() == text)
            }
        }
    };
}
pub(crate) use names;

names! {
    /// As what somebody comes.
    Scope {
        Operator = "operator", "Runs the popup.";
        Creator = "creator", "Sells through an audience.";
        Coop = "coop", "Speaks for a co-op and its members.";
        Auditor = "auditor", "Audits books and trail.";
        Board = "board", "A screen on the wall.";
        Till = "till", "A rig, or the checkout on it.";
    }
}

names! {
    /// What can be asked for.
    Action {
        Ingest = "ingest", "Report events and ship records and cells.";
        ViewBoard = "view.board", "See ranks and stock.";
        ViewSummary = "view.summary", "See what was sold.";
        Books = "books", "Read books, breaks, statements and certificates.";
        ViewCoop = "view.coop", "See a co-op's board.";
        ViewRig = "view.rig", "See how rigs are.";
        RawRead = "raw.read", "Read single records and sealed parts.";
        PolicyRead = "policy.read", "Read the policy in force.";
        PolicyPropose = "policy.propose", "Bring a policy.";
        RigEnrol = "rig.enrol", "Let a rig take part, or no longer.";
        PassIssue = "pass.issue", "Issue a pass.";
        PassRevoke = "pass.revoke", "Revoke a pass.";
        PopupClose = "popup.close", "Close books and decide on breaks.";
        Counts = "counts", "Bring a count of stock.";
        Settlements = "settlements", "Bring a file of a provider or bank.";
        AuditRead = "audit.read", "Read the audit trail.";
    }
}

/// How far a cell of the table reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// All of the popups of the pass.
    Popup,
    /// What is the creator's own.
    Own,
    /// What is of the co-op and its members.
    Members,
    /// What comes from the rig itself.
    OwnRig,
}

/// The table. What is not in it nobody may.
const fn reach(action: Action, scope: Scope) -> Option<Reach> {
    use Reach::{Members, Own, OwnRig, Popup};
    match (action, scope) {
        (Action::Ingest, Scope::Till) => Some(OwnRig),
        // A rig reads what it has to obey.
        (Action::PolicyRead, Scope::Till) => Some(Popup),
        (Action::Ingest, _) | (_, Scope::Till) => None,
        (Action::ViewBoard, _) | (_, Scope::Operator) => Some(Popup),
        (_, Scope::Board) => None,
        (Action::ViewSummary | Action::Books, Scope::Creator) => Some(Own),
        (Action::ViewSummary | Action::Books | Action::ViewCoop, Scope::Coop) => Some(Members),
        (Action::ViewSummary | Action::Books | Action::AuditRead, Scope::Auditor) => Some(Popup),
        (Action::RawRead | Action::AuditRead, Scope::Creator) => Some(Own),
        (Action::PolicyRead, Scope::Creator | Scope::Coop | Scope::Auditor) => Some(Popup),
        (
            Action::ViewCoop
            | Action::ViewRig
            | Action::RawRead
            | Action::PolicyPropose
            | Action::RigEnrol
            | Action::PassIssue
            | Action::PassRevoke
            | Action::PopupClose
            | Action::Counts
            | Action::Settlements
            | Action::AuditRead,
            Scope::Creator | Scope::Coop | Scope::Auditor,
        ) => None,
    }
}

impl Action {
    /// Whether the table lets this scope do it at all.
    #[must_use]
    pub const fn is_open_to(self, scope: Scope) -> bool {
        reach(self, scope).is_some()
    }

    /// Whether it only shows what a screen may show: what may cross a network in the clear.
    #[must_use]
    pub const fn is_view(self) -> bool {
        matches!(
            self,
            Self::ViewBoard | Self::ViewSummary | Self::ViewCoop | Self::ViewRig | Self::Books
        )
    }

    /// Whether it changes what others may do, or shows single records: refused while nobody can say
    /// which passes are revoked.
    #[must_use]
    pub const fn is_grave(self) -> bool {
        matches!(
            self,
            Self::RawRead
                | Self::PolicyPropose
                | Self::RigEnrol
                | Self::PassIssue
                | Self::PassRevoke
        )
    }

    /// Whether whoever sits at a machine of org `local` may do it without a pass.
    #[must_use]
    pub const fn is_free_locally(self) -> bool {
        !self.is_grave() || matches!(self, Self::RigEnrol)
    }
}

/// What a policy says of access: it can only take away from the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Which actions each scope keeps. A scope that is not named keeps what the table says.
    pub scopes: BTreeMap<Scope, BTreeSet<Action>>,
    /// What needs a fresh second factor.
    pub step_up: BTreeSet<Action>,
    /// How old a second factor may be, ms.
    pub max_age_ms: u64,
    /// How single records are read.
    pub raw: raw::RawRules,
    /// Longest life of a pass, ms.
    pub ttl_ms: i64,
    /// Version of the policy that these come from; 0 for the built-in ones.
    pub version: u32,
    /// Its digest; empty for the built-in ones.
    pub digest: String,
}

impl Default for Rules {
    /// The built-in rules: the whole table, second factor where it says so.
    fn default() -> Self {
        Self {
            scopes: BTreeMap::new(),
            step_up: BTreeSet::from([
                Action::RawRead,
                Action::PolicyPropose,
                Action::RigEnrol,
                Action::PassIssue,
                Action::PassRevoke,
                Action::PopupClose,
                Action::Counts,
                Action::Settlements,
            ]),
            max_age_ms: 5 * 60_000,
            raw: raw::RawRules::default(),
            ttl_ms: 12 * 3_600_000,
            version: 0,
            digest: String::new(),
        }
    }
}

/// Who asks, as a verified pass says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The organisation that issued the pass.
    pub org: String,
    /// The pass's own id.
    pub pass: String,
    /// Who holds it: an opaque id.
    pub actor: String,
    /// As what.
    pub scope: Scope,
    /// Of whom: the creator, co-op or rig; empty where the scope is of the whole popup.
    pub extent: String,
    /// The co-op's creators; empty for other scopes.
    pub members: Vec<String>,
    /// The one popup it is for; `None` for all of the organisation.
    pub popup: Option<String>,
}

/// Whose amounts of money somebody may be told on a board.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disclosure {
    /// Everybody's, and the popup's sums.
    Whole,
    /// Those of these creators alone.
    Own(BTreeSet<String>),
    /// Those of these members of a co-op, rounded, once enough of them have sold something.
    Coop(BTreeSet<String>),
}

impl Disclosure {
    /// Whether those of this creator may be told.
    #[must_use]
    pub fn has(&self, creator: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Own(own) | Self::Coop(own) => own.contains(creator),
        }
    }
}

impl Subject {
    /// The amounts of whoever may not see the whole popup: their own, or their members'.
    #[must_use]
    pub fn own_disclosure(&self) -> Disclosure {
        let own = match self.scope {
            Scope::Creator => BTreeSet::from([self.extent.clone()]),
            Scope::Coop => return Disclosure::Coop(self.members.iter().cloned().collect()),
            Scope::Operator | Scope::Auditor | Scope::Board | Scope::Till => BTreeSet::new(),
        };
        Disclosure::Own(own)
    }
}

/// What of a popup is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// All of it.
    Whole,
    /// What a board shows.
    Board,
    /// What is one creator's.
    Creator(&'a str),
    /// What comes from one rig.
    Rig(&'a str),
    /// What comes from the rig that the pass names: the receiver compares.
    OwnRig,
    /// What concerns the asker: the answer is narrowed to it.
    Own,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    /// What is to be done.
    pub action: Action,
    /// The popup it is done to; `None` for what concerns no single popup.
    pub popup: Option<&'a str>,
    /// What of it.
    pub target: Target<'a>,
    /// How old the asker's second factor is, ms; `None` without one.
    pub step_up_age_ms: Option<u64>,
}

/// Why something is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The table does not give it to this scope.
    #[error("a pass of this scope may not do it")]
    Scope,
    /// The policy took it from this scope.
    #[error("the policy of the popup does not let this scope do it")]
    Policy,
    /// It is of another popup.
    #[error("the pass is for another popup")]
    Popup,
    /// It is of another creator, co-op or rig, or of more than one's own.
    #[error("the pass shows what is its holder's own and nothing else")]
    Extent,
    /// A fresh second factor is needed.
    #[error("a fresh code of the second factor is needed")]
    SecondFactor,
    /// The purpose is not one that the policy knows.
    #[error("the policy of the popup does not know this purpose")]
    Purpose,
    /// The window is empty or longer than the policy lets one read.
    #[error("the window is empty or longer than the policy lets one read at once")]
    Window,
}

impl Denial {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Scope
            | Self::Policy
            | Self::Popup
            | Self::Extent
            | Self::Purpose
            | Self::Window => Code::ScopeRefused,
            Self::SecondFactor => Code::SecondFactorRefused,
        }
    }
}

/// Whether `subject` may do what it asks for, under these rules. Pure: passes, clocks and second
/// factors were looked at before.
pub fn decide(rules: &Rules, subject: &Subject, ask: &Ask<'_>) -> Result<(), Denial> {
    let reach = reach(ask.action, subject.scope).ok_or(Denial::Scope)?;
    let kept = rules.scopes.get(&subject.scope);
    if kept.is_some_and(|kept| !kept.contains(&ask.action)) {
        return Err(Denial::Policy);
    }
    // What is of no single popup, such as the list of them, is for whoever has all.
    let is_of_popup = match (&subject.popup, ask.popup) {
        (None, _) => true,
        (Some(own), Some(popup)) => own == popup,
        (Some(_), None) => reach == Reach::OwnRig || ask.target == Target::Own,
    };
    if !is_of_popup {
        return Err(Denial::Popup);
    }
    if !reaches(reach, subject, ask.target) {
        return Err(Denial::Extent);
    }
    let is_fresh = |age: u64| age <= rules.max_age_ms;
    if rules.step_up.contains(&ask.action) && !ask.step_up_age_ms.is_some_and(is_fresh) {
        return Err(Denial::SecondFactor);
    }
    Ok(())
}

fn reaches(reach: Reach, subject: &Subject, target: Target<'_>) -> bool {
    match (reach, target) {
        (Reach::Popup, _) => true,
        (Reach::Own | Reach::Members, Target::Own) => true,
        (Reach::Own, Target::Creator(name)) => name == subject.extent,
        (Reach::Members, Target::Creator(name)) => {
            subject.members.iter().any(|member| member == name)
        }
        (Reach::OwnRig, Target::Rig(name)) => name == subject.extent,
        (Reach::OwnRig, Target::OwnRig) => true,
        (
            Reach::Own | Reach::Members,
            Target::Whole | Target::Board | Target::Rig(_) | Target::OwnRig,
        )
        | (Reach::OwnRig, Target::Whole | Target::Board | Target::Creator(_) | Target::Own) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;

    fn subject(scope: Scope) -> Subject {
        Subject {
            org: "acme".into(),
            pass: "p1".into(),
            actor: "a1".into(),
            scope,
            extent: match scope {
                Scope::Creator => "ana".into(),
                Scope::Coop => "stalls".into(),
                Scope::Till => "till-1".into(),
                Scope::Operator | Scope::Auditor | Scope::Board => String::new(),
            },
            members: match scope == Scope::Coop {
                true => vec!["ana".into(), "ben".into()],
                false => Vec::new(),
            },
            popup: Some("fri".into()),
        }
    }

    fn ask(action: Action, target: Target<'_>) -> Ask<'_> {
        Ask {
            action,
            popup: Some("fri"),
            target,
            step_up_age_ms: Some(0),
        }
    }

    #[test]
    fn the_table_is_the_one_of_the_documents() {
        let rows = [
            ("ingest", "-----o"),
            ("view.board", "ppppp-"),
            ("view.summary", "pomp--"),
            ("books", "pomp--"),
            ("view.coop", "p-m---"),
            ("view.rig", "p-----"),
            ("raw.read", "po----"),
            ("policy.read", "pppp-p"),
            ("policy.propose", "p-----"),
            ("rig.enrol", "p-----"),
            ("pass.issue", "p-----"),
            ("pass.revoke", "p-----"),
            ("popup.close", "p-----"),
            ("counts", "p-----"),
            ("settlements", "p-----"),
            ("audit.read", "po-p--"),
        ];
        assert_eq!(rows.len(), Action::ALL.len());
        for (name, marks) in rows {
            let action = Action::parse(name).unwrap();
            for (scope, mark) in Scope::ALL.iter().zip(marks.chars()) {
                let said = match reach(action, *scope) {
                    None => '-',
                    Some(Reach::Popup) => 'p',
                    Some(Reach::Own | Reach::OwnRig) => 'o',
                    Some(Reach::Members) => 'm',
                };
                assert_eq!(said, mark, "{name} for {}", scope.text());
            }
        }
    }

    #[test]
    fn nobody_reaches_beside_their_own() {
        let rules = Rules::default();
        let says = |scope, ask: Ask<'_>| decide(&rules, &subject(scope), &ask);
        let books = |target| ask(Action::Books, target);
        assert_eq!(says(Scope::Creator, books(Target::Creator("ana"))), Ok(()));
        for other in [Target::Creator("ben"), Target::Whole, Target::Rig("ana")] {
            let said = says(Scope::Creator, books(other));
            assert_eq!(said, Err(Denial::Extent), "{other:?}");
        }
        assert_eq!(says(Scope::Coop, books(Target::Creator("ben"))), Ok(()));
        assert_eq!(
            says(Scope::Coop, books(Target::Creator("eve"))),
            Err(Denial::Extent)
        );
        let ingest = |rig| ask(Action::Ingest, Target::Rig(rig));
        assert_eq!(says(Scope::Till, ingest("till-1")), Ok(()));
        assert_eq!(says(Scope::Till, ingest("till-2")), Err(Denial::Extent));
        let elsewhere = Ask {
            popup: Some("sat"),
            ..books(Target::Whole)
        };
        assert_eq!(says(Scope::Operator, elsewhere), Err(Denial::Popup));
        let nowhere = Ask {
            popup: None,
            ..books(Target::Whole)
        };
        assert_eq!(says(Scope::Operator, nowhere), Err(Denial::Popup));
    }

    #[test]
    fn rules_only_take_away() {
        let everything: BTreeSet<Action> = Action::ALL.iter().copied().collect();
        let generous = Rules {
            scopes: Scope::ALL
                .iter()
                .map(|scope| (*scope, everything.clone()))
                .collect(),
            step_up: BTreeSet::new(),
            ..Rules::default()
        };
        let mean = Rules {
            scopes: Scope::ALL
                .iter()
                .map(|scope| (*scope, BTreeSet::new()))
                .collect(),
            ..Rules::default()
        };
        for scope in Scope::ALL {
            for action in Action::ALL {
                for target in [
                    Target::Whole,
                    Target::Own,
                    Target::Creator("ana"),
                    Target::OwnRig,
                ] {
                    let asked = ask(*action, target);
                    let usual = decide(&Rules::default(), &subject(*scope), &asked);
                    let given = decide(&generous, &subject(*scope), &asked);
                    let what = format!("{} {} {target:?}", scope.text(), action.text());
                    assert!(usual.is_ok() || given.is_err(), "{what}");
                    assert!(decide(&mean, &subject(*scope), &asked).is_err(), "{what}");
                }
            }
        }
    }

    #[test]
    fn a_second_factor_grows_old() {
        let rules = Rules::default();
        let close = |age| {
            let asked = Ask {
                step_up_age_ms: age,
                ..ask(Action::PopupClose, Target::Whole)
            };
            decide(&rules, &subject(Scope::Operator), &asked)
        };
        assert_eq!(close(Some(300_000)), Ok(()));
        assert_eq!(close(Some(300_001)), Err(Denial::SecondFactor));
        assert_eq!(close(None), Err(Denial::SecondFactor));
        assert_eq!(Denial::SecondFactor.code().to_string(), "PW0706");
    }
}
