//! The same books over a server of PostgreSQL, which each test starts for itself: nobody special's, in
//! a folder of its own, reached by a socket there. All examples and laws of SQLite's run over it too.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::fixture::*;
use super::{central, erase, examples, groups, lanes, laws};
use crate::books::{Books, BooksFault, intake};
use popwatch_core::code::Code;

/// Where Debian keeps what is no command of a user, by version.
const TOOLS: &str = "/usr/lib/postgresql";

/// A running server and its folder; both gone with the value.
struct Server {
    folder: PathBuf,
    bin: PathBuf,
    /// Whom it runs as where we are root, whom it refuses.
    user: Option<(u32, u32)>,
}

impl Server {
    fn start(name: &str) -> Self {
        let folder = format!("popwatch-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir(&folder).unwrap();
        let root = own_id() == 0;
        let server = Self {
            bin: newest(Path::new(TOOLS)).join("bin"),
            user: root.then(nobody_special),
            folder,
        };
        if let Some((user, group)) = server.user {
            chown(&server.folder, Some(user), Some(group)).unwrap();
        }
        server.tool(
            "initdb",
            &["-A", "trust", "-U", "popwatch", "-E", "UTF8", "--no-sync"],
        );
        server.up();
        server
    }

    fn up(&self) {
        let socket = self.folder.display();
        let options = format!("-F -k {socket} -c listen_addresses=''");
        let log = self.folder.join("log");
        self.tool(
            "pg_ctl",
            &["-w", "-o", &options, "-l", log.to_str().unwrap(), "start"],
        );
    }

    /// As a power cut would.
    fn down(&self) {
        self.tool("pg_ctl", &["-w", "-m", "immediate", "stop"]);
    }

    fn tool(&self, name: &str, args: &[&str]) {
        let mut command = Command::new(self.bin.join(name));
        command.arg("-D").arg(self.folder.join("data")).args(args);
        command.current_dir(&self.folder).stdin(Stdio::null());
        command.stdout(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        assert!(command.status().unwrap().success(), "{name} failed");
    }

    /// Where books find it: every schema is as good as a database.
    fn url(&self, schema: &str) -> String {
        let host = self.folder.display();
        format!("host={host} user=popwatch dbname=postgres options='-c search_path={schema}'")
    }

    fn schema(&self, name: &str) -> String {
        self.sql(&format!("CREATE SCHEMA {name}"));
        self.url(name)
    }

    fn sql(&self, sql: &str) {
        let mut client = postgres::Client::connect(&self.url("public"), postgres::NoTls).unwrap();
        client.batch_execute(sql).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn own_id() -> u32 {
    let out = Command::new("id").arg("-u").output().unwrap().stdout;
    String::from_utf8(out).unwrap().trim().parse().unwrap()
}

/// The user of Debian's package.
fn nobody_special() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut ids = line
        .unwrap()
        .split(':')
        .skip(2)
        .map(|id| id.parse().unwrap());
    (ids.next().unwrap(), ids.next().unwrap())
}

fn newest(folder: &Path) -> PathBuf {
    let versions = std::fs::read_dir(folder).unwrap();
    versions.map(|entry| entry.unwrap().path()).max().unwrap()
}

macro_rules! over_both {
    ($($file:ident::$name:ident),* $(,)?) => {
        &[$((stringify!($name), $file::$name as fn())),*]
    };
}

#[test]
#[ignore = "needs: postgresql"]
fn everything_that_holds_over_sqlite_holds_here() {
    let all: &[(&str, fn())] = over_both![
        examples::a_sale_is_posted_to_its_accounts,
        examples::cash_offline_and_manual_money_stand_apart,
        examples::lines_that_do_not_add_up_are_named_and_the_money_is_the_truth,
        examples::a_refund_waits_for_its_sale_without_losing_a_penny,
        examples::a_delivery_makes_earlier_sales_move_stock,
        examples::a_count_names_what_is_missing_and_a_late_sale_explains_it,
        examples::other_bytes_at_a_held_position_do_not_replace_the_first,
        examples::a_history_that_does_not_continue_ours_is_a_fork,
        examples::another_epoch_id_under_one_number_is_a_fork,
        examples::one_event_from_two_journals_counts_once,
        examples::one_id_with_two_contents_is_a_conflict_whose_first_counts,
        examples::one_payment_told_twice_with_other_amounts_counts_as_first_told,
        examples::an_unreadable_record_is_kept_and_the_rest_posts,
        examples::a_lost_range_is_worth_exactly_what_was_lost,
        examples::a_lost_sale_that_was_sent_again_is_counted_once_in_any_order,
        examples::a_rig_that_vanished_before_the_end_is_named_until_it_has_said_that_it_is_done,
        examples::of_one_version_what_somebody_signed_counts,
        examples::a_skip_tells_the_value_until_the_record_does,
        examples::a_count_inside_what_lost_records_could_explain_is_not_decided,
        examples::what_a_rig_still_has_is_known_from_its_beacons_and_successors,
        examples::a_holes_end_is_not_acknowledged_and_heals,
        examples::damaged_batches_leave_nothing_behind,
        examples::totals_that_contradict_the_records_are_named,
        examples::live_summaries_that_differ_from_the_records_are_found_to_the_minor_unit,
        lanes::holes_are_wanted_and_filled,
        lanes::an_undecodable_frame_is_kept_and_holds_nothing_up,
        lanes::a_sound_record_that_says_quarantined_is_booked,
        lanes::the_bulk_chain_is_held_against_the_seals,
        lanes::after_a_gap_a_chain_restarts_at_the_next_seal,
        lanes::a_rewind_is_named_and_nothing_is_rewound,
        lanes::what_a_void_life_said_is_not_waited_for,
        erase::what_is_erased_is_still_held_and_nothing_else_is_told,
        laws::every_order_of_four_batches_ends_the_same,
        laws::a_crash_inside_a_batch_leaves_nothing_and_the_batch_can_come_again,
        laws::shuffled_days,
        central::what_is_known_is_not_appended_again,
        central::an_earlier_telling_of_the_same_is_kept_and_posts,
        central::no_rig_ships_under_the_name_of_the_centre,
        central::a_journal_longer_than_one_batch_keeps_its_chain,
        groups::a_token_used_twice_is_named_whichever_use_came_first,
        groups::other_rules_evaluate_everything_anew_once,
        groups::an_accepted_break_moves_its_suspense_until_its_amount_changes,
        groups::money_waits_until_its_provider_says_the_same_and_cash_for_nobody,
        groups::what_the_provider_tells_of_a_lost_sale_is_taken_off_its_value_in_any_order,
        groups::an_unclaimed_charge_that_may_be_a_lost_sale_is_named_once_in_any_order,
        groups::what_a_rig_could_not_take_is_named_by_popup,
        groups::a_row_told_differently_by_two_files_is_named_and_the_first_counts,
        groups::what_is_accepted_onto_the_value_of_tokens_stays_a_break_there,
        groups::what_comes_after_a_close_is_late_and_of_the_next_correction,
    ];
    over(fresh_schemas("conformance"), || {
        for (name, test) in all {
            eprintln!("{name}");
            test();
        }
    });
}

/// Empty books of a server of their own, one schema each.
fn fresh_schemas(name: &str) -> impl FnMut() -> Books + 'static {
    let server = Server::start(name);
    let (folder, mut made) = (server.url("NAME"), 0);
    move || {
        made += 1;
        let name = format!("books_{made}");
        server.sql(&format!("CREATE SCHEMA {name}"));
        Books::connect(&folder.replace("NAME", &name)).unwrap()
    }
}

#[test]
#[ignore = "needs: postgresql"]
fn a_day_three_times_in_three_orders_is_one_on_both_stores() {
    let seeds = [(3, 0), (11, 1), (1_234_567, 3)];
    let days = || seeds.map(|(seed, size)| groups::three_orders(seed, size));
    let embedded = days();
    let served = over(fresh_schemas("orders"), days);
    assert_eq!(embedded, served);
}

#[test]
#[ignore = "needs: postgresql"]
fn both_stores_end_with_the_same_books() {
    let server = Server::start("same");
    for seed in 1..4 {
        let rigs = laws::day(seed, 60);
        let batches: Vec<_> = rigs.iter().flat_map(Rig::all).collect();
        let url = server.schema(&format!("books_{seed}"));
        let mut books = Books::connect(&url).unwrap();
        for batch in batches.iter().rev().chain(&batches) {
            books.accept(batch, now()).unwrap();
        }
        assert_eq!(state(&books), state(&deliver(&batches)), "seed {seed}");
        drop(books);
        let again = Books::connect(&url).unwrap();
        assert_eq!(state(&again), state(&deliver(&batches)), "seed {seed}");
    }
}

#[test]
#[ignore = "needs: postgresql"]
fn a_server_that_dies_takes_nothing_with_it() {
    let server = Server::start("crash");
    let batches: Vec<_> = laws::day(11, 30).iter().map(Rig::trunk).collect();
    let mut books = Books::connect(&server.url("public")).unwrap();
    for batch in &batches {
        let before = state(&books);
        let open = books.db.begin().unwrap();
        intake::take(&books.db, &books.terms, batch, now()).unwrap();
        server.down();
        let fault = open.commit().unwrap_err();
        assert!(!fault.is_of_the_record(), "{fault}");
        let fault = books.accept(batch, now()).unwrap_err();
        assert_eq!(fault.code(), Code::LedgerUnavailable, "{fault}");
        server.up();
        assert_eq!(state(&books), before, "nothing of the batch is there");

        books.accept(batch, now()).unwrap();
        let after = state(&books);
        assert_ne!(after, before);
        let again = books.accept(batch, now()).unwrap();
        assert!(again.not_ok.is_empty(), "known already: {again:?}");
        assert_eq!(state(&books), after);
    }
    assert_eq!(state(&books), state(&deliver(&batches)));
}

#[test]
#[ignore = "needs: postgresql"]
fn two_ledgers_on_one_database_take_turns() {
    let server = Server::start("turns");
    let rigs = laws::day(5, 60);
    let batches: Vec<_> = rigs.iter().flat_map(Rig::all).collect();
    let url = server.url("public");
    drop(Books::connect(&url).unwrap());
    std::thread::scope(|scope| {
        for first in 0..2 {
            let (batches, url) = (&batches, &url);
            scope.spawn(move || {
                let mut books = Books::connect(url).unwrap();
                for batch in batches.iter().skip(first) {
                    books.accept(batch, now()).unwrap();
                }
            });
        }
    });
    let books = Books::connect(&url).unwrap();
    assert_eq!(state(&books), state(&deliver(&batches)));
}

#[test]
#[ignore = "needs: postgresql"]
fn a_newer_schema_and_what_is_not_ours_are_left_alone() {
    let server = Server::start("schema");
    let url = server.url("public");
    drop(Books::connect(&url).unwrap());
    server.sql("INSERT INTO schema_version VALUES (99, '')");
    let fault = Books::connect(&url).err().unwrap();
    assert!(
        matches!(fault, BooksFault::SchemaNewer { found: 99, .. }),
        "{fault}"
    );
    server.sql("DELETE FROM schema_version WHERE number = 99");
    server.sql("UPDATE schema_version SET checksum = '' WHERE number = 1");
    let fault = Books::connect(&url).err().unwrap();
    assert!(
        matches!(fault, BooksFault::SchemaForeign { step: 1 }),
        "{fault}"
    );
}
