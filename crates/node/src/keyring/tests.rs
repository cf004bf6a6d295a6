//! Keys over days, by a clock that is moved by hand.

use popwatch_core::access::raw::PartClass;
use popwatch_core::id::RigId;
use popwatch_core::policy::limit::Limit;
use popwatch_core::policy::terms::Terms;
use popwatch_core::record::Extra;
use popwatch_redact::seal::Part;

use super::*;
use crate::access::Access;
use crate::ambient::ScriptedClock;
use crate::audit::trails::trail;
use crate::config::Config;

const DAY_MS: i64 = 24 * HOUR_MS;

/// A data directory, gone with the value.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("popwatch-keyring-{name}-{}", std::process::id());
        let place = Self(std::env::temp_dir().join(name));
        drop(std::fs::remove_dir_all(&place.0));
        std::fs::create_dir_all(&place.0).unwrap();
        place
    }

    fn open(&self, custody: Custody, ambient: &Ambient) -> Keyring {
        let config = Config::all(&self.0);
        let access = Access::open(&config, ambient).unwrap();
        let policies = Policies::open(&self.0, None, &access, ambient);
        let keyring = Keyring::open(&self.0, custody, &self.0.join("system"), &policies, ambient);
        keyring.set_trail(&trail(&config, "ledger", ambient).unwrap());
        keyring
    }

    fn file(&self) -> Vec<u8> {
        std::fs::read(self.0.join("keys/popups/night.ring")).unwrap()
    }

    /// How many entries of the trail hold all of these.
    fn entries(&self, words: &[&str]) -> usize {
        let mut found = 0;
        let mut folders = vec![self.0.join("audit")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let bytes = std::fs::read(entry.path()).unwrap();
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let entries = text.split("{\"action\"");
                found += entries
                    .filter(|entry| words.iter().all(|word| entry.contains(word)))
                    .count();
            }
        }
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn clock() -> (Ambient, ScriptedClock) {
    Ambient::scripted(1_700_000_000_000)
}

fn night() -> PopupId {
    PopupId::new("night").unwrap()
}

fn keep_ms(limit: Limit) -> i64 {
    Terms::built_in().span(limit).ms_signed()
}

fn said() -> Vec<Extra> {
    vec![Extra {
        path: "text".into(),
        text: "what was said".into(),
    }]
}

#[test]
fn after_its_keep_a_key_opens_nothing_and_its_end_stands_in_the_trail() {
    let place = Place::new("keep");
    let (ambient, hand) = clock();
    let keyring = place.open(Custody::Own(None), &ambient);
    let keys = keyring.of(&keyring.shown(), &night());
    let key = keys.parts[&PartClass::Freetext].clone();
    let part = key.seal(PartClass::Freetext, "till-1", &[1; 32], said());
    let secret = *key.secret();
    assert!(place.file().windows(32).any(|bytes| bytes == secret));
    drop(keyring);

    // The next start finds the same keys, and its first look destroys what is due by then.
    hand.advance_to(ambient.wall_ms() + keep_ms(Limit::FreetextKeep) - 1);
    let keyring = place.open(Custody::Own(None), &ambient);
    keyring.look_around();
    let keys = keyring.of(&keyring.shown(), &night());
    assert_eq!(keys.parts[&PartClass::Freetext].secret(), &secret);
    let opened = Part::read(&part).unwrap().open(&key, "till-1", &[1; 32]);
    assert_eq!(opened, Some(said()));
    // The event that was just taken moves the end: where no policy says when a popup ends, its last event does.
    keyring.look_around();
    hand.advance_to(ambient.wall_ms() + keep_ms(Limit::FreetextKeep) + 2 * HOUR_MS);
    keyring.look_around();
    assert!(!place.file().windows(32).any(|bytes| bytes == secret));
    assert_eq!(keyring.counts(), (0, 1));
    let words = [
        "key.destroyed",
        "\"class\":\"freetext\"",
        "\"reason\":\"keep\"",
    ];
    assert_eq!(place.entries(&words), 1);
    let told = keyring.told(&night());
    let of = |class: &str| {
        let mut keys = told.as_array().unwrap().iter();
        keys.find(|key| key["class"] == class).unwrap()["state"].clone()
    };
    assert_eq!(
        (of("freetext"), of("contact")),
        ("destroyed".into(), "alive".into())
    );
    let shut = keyring.opener(&night());
    assert!(format!("{shut:?}").contains("[key]"));
    // A popup without a window that sells again gets another key, under which nothing opens that was sealed
    // before.
    let again = keyring.of(&keyring.shown(), &night());
    let again = &again.parts[&PartClass::Freetext];
    assert_eq!(
        Part::read(&part).unwrap().open(again, "till-1", &[1; 32]),
        None
    );
}

#[test]
fn a_clock_that_jumped_a_day_neither_opens_nor_destroys_until_it_is_confirmed() {
    let place = Place::new("clock");
    let ambient = Ambient::system();
    let keyring = place.open(Custody::Own(None), &ambient);
    keyring.of(&keyring.shown(), &night());
    drop(keyring);
    let mut ring = Ring::decode(&place.file()).unwrap();
    ring.high_ms -= JUMP_MS + HOUR_MS;
    ring.used_ms -= 30 * DAY_MS;
    std::fs::write(place.0.join("keys/popups/night.ring"), &*ring.encode()).unwrap();

    let keyring = place.open(Custody::Own(None), &ambient);
    assert!(keyring.is_locked());
    keyring.look_around();
    assert_eq!(keyring.counts(), (3, 0));
    assert_eq!(keyring.told(&night())[0]["state"], "locked");
    std::fs::write(place.0.join(CONFIRMED), b"").unwrap();
    keyring.look_around();
    assert!(!keyring.is_locked());
    assert_eq!(keyring.counts(), (0, 3));
    assert_eq!(place.entries(&["clock.confirmed", "\"by_hand\":true"]), 1);
}

#[test]
fn what_is_lent_ends_with_its_lease_and_the_ledger_hears_of_it() {
    let (ledger, rig) = (Place::new("ledger"), Place::new("rig"));
    let (ambient, hand) = clock();
    let custodian = ledger.open(Custody::Own(None), &ambient);
    let till = rig.open(Custody::Lent, &ambient);
    assert!(till.of(&till.shown(), &night()).parts.is_empty());
    assert_eq!(till.wanted(), BTreeSet::from([night()]));
    let name = RigId::new("till-1").unwrap();
    let lend = |told: (Vec<Destroyed>, bool)| {
        let lent = custodian.lend(&night(), &name, (&told.0, told.1)).unwrap();
        till.take(&night(), lent.keys().unwrap(), &told.0);
    };
    lend((Vec::new(), true));
    assert!(till.wanted().is_empty());
    let own = custodian.of(&custodian.shown(), &night());
    let lent = till.of(&till.shown(), &night());
    assert_eq!(own.parts, lent.parts);
    assert_eq!(lent.parts.len(), 3);
    assert_eq!(
        ledger.entries(&["keys.granted", "\"holder\":\"till-1\""]),
        1
    );
    assert!(till.due(&night()).is_none());

    // Nobody renews it: the rig's copy ends with the lease, the custodian's lives on.
    hand.advance_to(ambient.wall_ms() + keep_ms(Limit::RawLease) + HOUR_MS);
    till.look_around();
    custodian.look_around();
    assert!(till.of(&till.shown(), &night()).parts.is_empty());
    assert_eq!(rig.entries(&["key.destroyed", "\"reason\":\"lease\""]), 4);
    let told = till.due(&night()).unwrap();
    assert_eq!((told.0.len(), told.1), (4, true));
    let unheard = custodian.told(&night());
    assert!(unheard[0]["holders"][0]["destroyed_ms"].is_null());
    lend(told);
    let words = ["key.destroyed", "\"holder\":\"till-1\""];
    assert_eq!(ledger.entries(&words), 4);
    // The keys still live: the same ones are lent again.
    assert_eq!(till.of(&till.shown(), &night()).parts, own.parts);

    // All keeps are over: nothing is lent any more, and every holder has said so.
    let longest = keep_ms(Limit::ContactKeep) + 2 * HOUR_MS;
    hand.advance_to(ambient.wall_ms() + longest);
    custodian.look_around();
    till.look_around();
    lend((till.due(&night()).unwrap().0, false));
    let told = custodian.told(&night());
    for key in told.as_array().unwrap() {
        assert_eq!(key["state"], "destroyed", "{key}");
        assert!(key["holders"][0]["destroyed_ms"].is_i64(), "{key}");
    }
    assert!(matches!(
        till.lend(&night(), &name, (&[], false)),
        Err(NotLent::NotCustodian)
    ));
}

#[test]
fn half_of_a_lease_is_over_before_it_is_renewed_however_often_the_ring_is_written() {
    let (ledger, rig) = (Place::new("half-ledger"), Place::new("half-rig"));
    let (ambient, hand) = clock();
    let custodian = ledger.open(Custody::Own(None), &ambient);
    let till = rig.open(Custody::Lent, &ambient);
    let lent = custodian.lend(&night(), &RigId::new("till-1").unwrap(), (&[], true));
    till.take(&night(), lent.unwrap().keys().unwrap(), &[]);
    let lease_ms = keep_ms(Limit::FreetextLease);
    let mut asked_ms = None;
    for hour in 1..lease_ms / HOUR_MS {
        hand.advance_to(ambient.wall_ms() + HOUR_MS);
        till.look_around();
        if till.due(&night()).is_some() {
            asked_ms.get_or_insert(hour * HOUR_MS);
        }
    }
    let asked_ms = asked_ms.unwrap();
    assert!(
        (lease_ms / 2..=lease_ms / 2 + HOUR_MS).contains(&asked_ms),
        "{asked_ms}"
    );
}

#[test]
fn a_rehearsal_leaves_no_key_and_what_is_over_makes_room() {
    let place = Place::new("room");
    let (ambient, hand) = clock();
    let keyring = place.open(Custody::Own(None), &ambient);
    let popup = |n: usize| PopupId::new(&format!("preflight-night-{n}")).unwrap();
    for n in 0..REGION_POPUPS_MAX {
        assert_eq!(keyring.of(&keyring.shown(), &popup(n)).parts.len(), 3);
    }
    // All of them live: there is no room for another.
    assert!(keyring.of(&keyring.shown(), &night()).parts.is_empty());
    hand.advance_to(ambient.wall_ms() + 2 * HOUR_MS);
    keyring.look_around();
    keyring.look_around();
    hand.advance_to(ambient.wall_ms() + 2 * HOUR_MS);
    keyring.look_around();
    let all = u64::try_from(4 * REGION_POPUPS_MAX).unwrap();
    assert_eq!(keyring.counts(), (0, all));
    assert_eq!(keyring.of(&keyring.shown(), &night()).parts.len(), 3);
    assert!(!place.0.join("keys/popups/preflight-night-0.ring").exists());
}

#[test]
fn a_disk_that_takes_nothing_is_not_asked_at_every_event() {
    let place = Place::new("full");
    let (ambient, _) = clock();
    let keyring = place.open(Custody::Own(None), &ambient);
    std::fs::create_dir_all(place.0.join("keys")).unwrap();
    // A file where the folder has to be.
    std::fs::write(place.0.join(FOLDER), b"").unwrap();
    assert!(keyring.of(&keyring.shown(), &night()).parts.is_empty());
    std::fs::remove_file(place.0.join(FOLDER)).unwrap();
    assert!(keyring.of(&keyring.shown(), &night()).parts.is_empty());
    keyring.0.held().failed_ms = None;
    assert_eq!(keyring.of(&keyring.shown(), &night()).parts.len(), 3);
}

#[test]
fn a_damaged_file_costs_its_own_fields_and_no_other_key_takes_its_place() {
    let place = Place::new("damaged");
    let (ambient, _) = clock();
    let keyring = place.open(Custody::Own(None), &ambient);
    keyring.of(&keyring.shown(), &night());
    let mut bytes = place.file();
    drop(keyring);
    bytes[60] ^= 1;
    std::fs::write(place.0.join("keys/popups/night.ring"), &bytes).unwrap();
    let keyring = place.open(Custody::Own(None), &ambient);
    let keys = keyring.of(&keyring.shown(), &night());
    assert!(keys.parts.is_empty() && keys.pseudonym.is_none());
    assert_eq!(place.file(), bytes);
    let other = PopupId::new("day").unwrap();
    assert_eq!(keyring.of(&keyring.shown(), &other).parts.len(), 3);
}
