//! A tree to a policy, section by section.

use std::collections::BTreeSet;

use popwatch_core::access::raw::Purpose;
use popwatch_core::access::{Action, Scope};
use popwatch_core::event::commerce::WHOLE_PPM;
use popwatch_core::id::PopupId;
use popwatch_core::ledger::close::Value;
use popwatch_core::limits::{LADDER_RUNGS_MAX, POLICY_SIGNERS_MAX};
use popwatch_core::money::Currency;
use popwatch_core::policy::duration::Span;
use popwatch_core::policy::ladder::{Ladder, Rung};
use popwatch_core::policy::limit::{Limit, Unit};
use popwatch_core::policy::terms::{Terms, is_observation};
use popwatch_core::policy::{Carried, Digest, DocumentKind, Head, Policy, Signing, Stated, Window};

use super::cursor::{Cursor, Fields, Read};
use super::tree::Node;
use super::{API, PolicyFault, commerce, promises, rules};
use crate::note::PublicKey;

/// Currencies that a popup expects at most.
const CURRENCIES_MAX: usize = 16;
/// Longest name of an organisation or a zone, bytes.
const NAME_BYTES_MAX: usize = 64;

/// Reads a whole document.
pub(super) fn policy(root: &Node, digest: Digest) -> Read<Policy> {
    let mut fields = Cursor::root(root).map()?;
    fields
        .need("api")?
        .one(|text| (text == API).then_some(()), API)?;
    let kind = |text: &str| {
        DocumentKind::ALL
            .into_iter()
            .find(|kind| kind.text() == text)
    };
    let kind = fields.need("kind")?.one(kind, "org_floor and popup")?;
    let mut terms = match kind {
        DocumentKind::OrgFloor => Terms::floor(),
        DocumentKind::Popup => Terms::of_popup(),
    };
    let head = head(&mut fields, kind)?;
    limit(&mut fields, "", Limit::OfflineGrace, &mut terms)?;
    let mut carried = Carried {
        version: head.version,
        digest,
        window: None,
        promises: Value::List(Vec::new()),
        commerce: Value::map::<&str>([]),
        stated: Stated::default(),
        rollout: Value::map::<&str>([]),
        trial: Span::minutes(10),
    };
    let signing = match kind {
        DocumentKind::OrgFloor => Some(signing(&fields.need("signing")?)?),
        DocumentKind::Popup => {
            carried.window = Some(window(&fields.need("window")?)?);
            aside(&mut fields, &mut carried)?;
            None
        }
    };
    sections(&mut fields, &mut terms)?;
    fields.done()?;
    let policy = Policy {
        head,
        terms,
        carried,
        signing,
    };
    policy.lawful_head().map_err(|fault| {
        let (path, said) = (fault.path(), fault.to_string());
        let what = said.split_once(": ").map_or("", |(_, what)| what);
        PolicyFault::unreadable(root.find(path), path, what)
    })?;
    Ok(policy)
}

fn head(fields: &mut Fields<'_>, kind: DocumentKind) -> Read<Head> {
    let org = fields.need("org")?;
    let popup = match kind {
        DocumentKind::OrgFloor => None,
        DocumentKind::Popup => {
            let popup = fields.need("popup")?;
            let id = |text: &str| PopupId::new(text).ok();
            Some(popup.one(id, "the ids that a popup may have")?)
        }
    };
    let parent = fields.take("parent");
    let parent =
        parent.map(|parent| parent.one(Digest::parse, "sha256: and 64 hexadecimal digits"));
    let floor = match (kind, fields.take("floor")) {
        (DocumentKind::Popup, Some(floor)) => floor.small(0, u32::MAX)?,
        (DocumentKind::OrgFloor, Some(floor)) => return floor.refuse("is not known here"),
        (_, None) => 0,
    };
    Ok(Head {
        kind,
        org: name(&org)?.to_owned(),
        popup,
        version: fields.need("version")?.small(1, u32::MAX)?,
        parent: parent.transpose()?,
        floor,
        not_before_ms: fields.need("not_before")?.moment()?,
        expires_ms: fields.need("expires")?.moment()?,
    })
}

/// A name without anything that could be a path or a line of its own.
fn name<'a>(of: &Cursor<'a>) -> Read<&'a str> {
    let text = of.text()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/+".contains(&byte);
    match !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(is_plain) {
        true => Ok(text),
        false => of.refuse("must be a short name of letters, digits, . _ -"),
    }
}

fn window(of: &Cursor<'_>) -> Read<Window> {
    let mut fields = of.map()?;
    let currencies = match fields.take("currencies") {
        Some(list) => (list.list(CURRENCIES_MAX)?.iter())
            .map(|code| {
                let known = |text: &str| Currency::new(text).map(|_| text.to_owned());
                code.one(known, "the ISO 4217 codes of currencies with minor units")
            })
            .collect::<Read<_>>()?,
        None => Vec::new(),
    };
    let region = |text: &str| {
        let is_region = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        is_region.then(|| text.to_owned())
    };
    let region = (fields.take("phone_region"))
        .map(|of| of.one(region, "the ISO 3166 codes of two letters"))
        .transpose()?;
    let zone = fields.take("zone");
    let window = Window {
        starts_ms: fields.need("starts")?.moment()?,
        ends_ms: fields.need("ends")?.moment()?,
        zone: zone.map_or(Ok("UTC"), |zone| name(&zone))?.to_owned(),
        currencies,
        phone_region: region.unwrap_or_default(),
    };
    fields.done()?;
    Ok(window)
}

fn signing(of: &Cursor<'_>) -> Read<Signing> {
    let mut fields = of.map()?;
    let signers = fields.need("signers")?.list(POLICY_SIGNERS_MAX)?;
    let mut keys: Vec<String> = Vec::new();
    for signer in signers {
        let key = signer.one(PublicKey::parse, "the public keys of signed notes")?;
        if keys.contains(&key.to_string()) {
            return signer.refuse("stands here already");
        }
        keys.push(key.to_string());
    }
    let signing = Signing {
        threshold: fields.need("threshold")?.small(0, u32::MAX)?,
        signers: keys,
    };
    fields.done()?;
    Ok(signing)
}

/// What is no strictness.
fn aside(fields: &mut Fields<'_>, carried: &mut Carried) -> Read<()> {
    if let Some(promises) = fields.take("promises") {
        (carried.stated.promises, carried.stated.checkout_limit) = promises::read(&promises)?;
        carried.promises = promises.node.value();
    }
    if let Some(commerce) = fields.take("commerce") {
        carried.stated.commerce = commerce::read(&commerce)?;
        carried.commerce = commerce.node.value();
    }
    if let Some(rollout) = fields.take("rollout") {
        carried.rollout = rollout.node.value();
        let mut parts = rollout.map()?;
        if let Some(trial) = parts.take("trial") {
            carried.trial = trial.span()?;
            if carried.trial > Span::days(1) {
                return trial.refuse("at most P1D");
            }
        }
        if let Some(waves) = parts.take("waves") {
            for wave in waves.list(LADDER_RUNGS_MAX)? {
                let mut wave = wave.map()?;
                wave.need("ppm")?.small(0, WHOLE_PPM)?;
                wave.need("bake")?.span()?;
                wave.done()?;
            }
        }
        parts.done()?;
    }
    Ok(())
}

fn sections(fields: &mut Fields<'_>, terms: &mut Terms) -> Read<()> {
    if let Some(retention) = fields.take("retention") {
        let mut parts = retention.map()?;
        for part in [
            "raw",
            "pseudonym",
            "contact",
            "freetext",
            "records",
            "audit",
        ] {
            if let Some(part) = parts.take(part) {
                all_limits(&part, terms)?;
            }
        }
        if let Some(cells) = parts.take("cells") {
            let mut cells = cells.map()?;
            limit(&mut cells, "retention.cells", Limit::CellsKeep, terms)?;
            if let Some(rungs) = cells.take("ladder") {
                terms.ladder = ladder(&rungs)?;
            }
            cells.done()?;
        }
        parts.done()?;
    }
    if let Some(kept) = fields.take("fields") {
        rules::fields(&kept, terms)?;
    }
    if let Some(extra) = fields.take("extra") {
        rules::extra(&extra, terms)?;
    }
    if let Some(unknown) = fields.take("unknown_types") {
        let parse = |text: &str| match text {
            "refuse" => Some(true),
            "opaque" => Some(false),
            _ => None,
        };
        terms.refuses_unknown = unknown.one(parse, "refuse and opaque")?;
    }
    if let Some(sampling) = fields.take("sampling") {
        for (name, rate, unknown) in sampling.map()?.all() {
            let of = rules::event_type(name).ok_or(unknown)?;
            if !is_observation(of) {
                return rate.below("all of them: money and stock are never sampled");
            }
            let ppm = rate.small(0, WHOLE_PPM)?;
            if ppm < WHOLE_PPM {
                terms.sampling.insert(of, ppm);
            }
        }
    }
    if let Some(disclosure) = fields.take("disclosure") {
        all_limits(&disclosure, terms)?;
    }
    match fields.take("access") {
        Some(part) => access(&part, terms),
        None => Ok(()),
    }
}

/// An object of nothing but limits.
fn all_limits(of: &Cursor<'_>, terms: &mut Terms) -> Read<()> {
    for (_, value, unknown) in of.map()?.all() {
        let limit = Limit::at(&value.path).ok_or(unknown)?;
        set(&value, limit, terms)?;
    }
    Ok(())
}

fn limit(fields: &mut Fields<'_>, under: &str, limit: Limit, terms: &mut Terms) -> Read<()> {
    let path = limit.path();
    let name = path.strip_prefix(under).unwrap_or(path);
    match fields.take(name.trim_start_matches('.')) {
        Some(value) => set(&value, limit, terms),
        None => Ok(()),
    }
}

fn set(value: &Cursor<'_>, limit: Limit, terms: &mut Terms) -> Read<()> {
    let said = match limit.unit() {
        Unit::Span => value.span()?.ms(),
        Unit::Number => u64::from(value.small(0, u32::MAX)?),
    };
    if !limit.at_least(said, limit.floor()) {
        return value.below(limit.floor_text());
    }
    terms.set_limit(limit, said);
    Ok(())
}

fn ladder(of: &Cursor<'_>) -> Read<Ladder> {
    let mut rungs = Vec::new();
    for rung in of.list(LADDER_RUNGS_MAX)? {
        let mut parts = rung.map()?;
        rungs.push(Rung {
            after: parts.need("after")?.span()?,
            step: parts.need("step")?.span()?,
        });
        parts.done()?;
    }
    Ladder::new(rungs).map_or_else(
        || {
            of.refuse(
                "begins after PT0S and ascends by steps of PT1M, PT5M, PT15M, PT1H, PT6H and P1D",
            )
        },
        Ok,
    )
}

fn access(of: &Cursor<'_>, terms: &mut Terms) -> Read<()> {
    let mut parts = of.map()?;
    if let Some(scopes) = parts.take("scopes") {
        for (name, list, unknown) in scopes.map()?.all() {
            let scope = Scope::parse(name).ok_or(unknown)?;
            let mut kept = BTreeSet::new();
            for item in list.list(Action::ALL.len())? {
                let action = item.one(Action::parse, "the actions of docs/access.md")?;
                if !action.is_open_to(scope) {
                    return item
                        .below("the table of docs/access.md, which never lets this scope do it");
                }
                kept.insert((scope, action));
            }
            terms
                .actions
                .retain(|one| one.0 != scope || kept.contains(one));
        }
    }
    if let Some(step_up) = parts.take("step_up") {
        let mut inner = step_up.map()?;
        limit(&mut inner, "access.step_up", Limit::StepUpAge, terms)?;
        if let Some(list) = inner.take("actions") {
            let mut actions = BTreeSet::new();
            for item in list.list(Action::ALL.len())? {
                actions.insert(item.one(Action::parse, "the actions of docs/access.md")?);
            }
            if !actions.contains(&Action::RawRead) {
                return list.below("a second factor for raw.read");
            }
            terms.step_up = actions;
        }
        inner.done()?;
    }
    if let Some(raw) = parts.take("raw_read") {
        let mut inner = raw.map()?;
        for one in [Limit::RawWindow, Limit::RawRows, Limit::Witnesses] {
            limit(&mut inner, "access.raw_read", one, terms)?;
        }
        if let Some(list) = inner.take("purposes") {
            let purposes = list.list(Purpose::ALL.len())?;
            let purposes = purposes.iter().map(|item| {
                item.one(
                    Purpose::parse,
                    "dispute, fraud, debugging and subject_request",
                )
            });
            terms.purposes = purposes.collect::<Read<_>>()?;
        }
        inner.done()?;
    }
    if let Some(passes) = parts.take("passes") {
        all_limits(&passes, terms)?;
    }
    parts.done()
}
