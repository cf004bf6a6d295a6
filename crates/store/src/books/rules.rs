//! What the books are evaluated by: rules, and the moment as of which timers run out.
//!
//! Other rules than before, or books of a popwatch without groups, are evaluated anew at start, in
//! steps of bounded size; each step leaves books that balance, and a start that was cut short begins
//! again. Time moves only by [`Books::advance`], so what stands never depends on when a batch came.

use popwatch_core::id::PopupId;
use popwatch_core::ledger::FactId;
use popwatch_core::ledger::breaks::BreakClass;
use popwatch_core::ledger::entry::Rule;
use popwatch_core::ledger::reconcile::{Cells, Reconciliation};
use popwatch_core::ledger::rules::Rules;
use popwatch_core::time::{Now, WallMs};

use super::db::{Db, values};
use super::posting::Poster;
use super::rows::column;
use super::{Books, BooksFault, gaps, groups, identity};

/// Facts or groups that are evaluated anew in one transaction.
const STEP: usize = 2_048;

/// Breaks found by intake, not by evaluating facts: they stay when everything is evaluated anew.
const OF_INTAKE: [BreakClass; 8] = [
    BreakClass::Loss,
    BreakClass::FileTwice,
    BreakClass::Fork,
    BreakClass::Rewind,
    BreakClass::Conflict,
    BreakClass::Poison,
    BreakClass::Held,
    BreakClass::PopupImplied,
];

/// What an evaluation is told beside the facts.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    /// Accounts and timers.
    pub(super) rules: Rules,
    /// Timers run out by it, ms since 1970.
    pub(super) as_of_ms: i64,
}

impl Terms {
    /// Default rules, as of the moment up to which the books advanced.
    pub(super) fn read(db: &Db) -> Result<Self, BooksFault> {
        let as_of: Option<i64> = db
            .row(
                "SELECT number FROM settings WHERE name = 'as_of'",
                values![],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("read its settings"))?;
        Ok(Self {
            rules: Rules::default(),
            as_of_ms: as_of.unwrap_or(0),
        })
    }

    /// Changes when the same facts may be evaluated differently.
    fn hash(&self) -> [u8; 32] {
        let text = format!("{} {:?}", Rule::VERSION, self.rules);
        *blake3::hash(text.as_bytes()).as_bytes()
    }
}

impl Books {
    /// Sets what the books are evaluated by. Where that differs from what they were evaluated by,
    /// everything is evaluated anew before this returns; whether that was so.
    pub fn set_rules(&mut self, rules: Rules, now: Now) -> Result<bool, BooksFault> {
        self.terms.rules = rules;
        let hash = self.terms.hash();
        let known: Option<Vec<u8>> = self
            .db
            .row(
                "SELECT bytes FROM settings WHERE name = 'rules'",
                values![],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("read its settings"))?;
        if known.as_deref() == Some(&hash[..]) {
            return Ok(false);
        }
        // Until the end no rules are remembered, so that a start which is cut short begins again.
        self.transact(|db| set(db, "rules", 0, &[]))?;
        let terms = &self.terms;
        while self.transact(|db| clear_groups(db, terms, now))? {}
        let mut after = None;
        while let Some(last) = self.transact(|db| again(db, terms, now, after, false))? {
            after = Some(last);
        }
        self.transact(|db| set(db, "rules", 0, &hash))?;
        Ok(true)
    }

    /// Lets time pass: evaluates the groups whose timers have run out by this moment, ms since 1970;
    /// how many. Time never goes back.
    pub fn advance(&mut self, as_of_ms: i64, now: Now) -> Result<usize, BooksFault> {
        if as_of_ms > self.terms.as_of_ms {
            self.transact(|db| set(db, "as_of", as_of_ms, &[]))?;
            self.terms.as_of_ms = as_of_ms;
        }
        let terms = &self.terms;
        let mut all = 0;
        loop {
            let done = self.transact(|db| run_out(db, terms, now))?;
            all += done;
            if done < STEP {
                return Ok(all);
            }
        }
    }

    /// Reconciles a popup from nothing: every fact posted and every group evaluated anew, as of this
    /// moment. The stored books stay as they are; with the same moment they give the same hash.
    pub fn reconcile_full(
        &mut self,
        popup: &PopupId,
        region: Option<Cells>,
        as_of: WallMs,
        now: Now,
    ) -> Result<Reconciliation, BooksFault> {
        self.tried(as_of, true, now, |books| {
            books.reconcile(popup, region, as_of)
        })
    }

    /// Asks the books as they would stand as of this moment, and leaves them as they are. Everything
    /// is evaluated anew where that is asked for, or where the moment lies before the one as of which
    /// they stand; else only what is due by then.
    pub fn tried<T>(
        &mut self,
        as_of: WallMs,
        anew: bool,
        now: Now,
        ask: impl FnOnce(&Self) -> Result<T, BooksFault>,
    ) -> Result<T, BooksFault> {
        let stands = self.terms.as_of_ms;
        self.terms.as_of_ms = as_of.0;
        let outcome = self.trial(anew || as_of.0 < stands, now, ask);
        self.terms.as_of_ms = stands;
        outcome
    }

    fn trial<T>(
        &self,
        anew: bool,
        now: Now,
        ask: impl FnOnce(&Self) -> Result<T, BooksFault>,
    ) -> Result<T, BooksFault> {
        // Never committed: dropping it leaves the books as they were.
        let open = self.db.begin().map_err(BooksFault::sql("begin"))?;
        let outcome = self.evaluate(anew, now).and_then(|()| ask(self));
        drop(open);
        outcome
    }

    /// Brings the books to the moment of the terms, within an open transaction.
    fn evaluate(&self, anew: bool, now: Now) -> Result<(), BooksFault> {
        let (db, terms) = (&self.db, &self.terms);
        if !anew {
            while run_out(db, terms, now)? == STEP {}
            return Ok(());
        }
        forget_everything(db)?;
        let mut after = None;
        while let Some(last) = again(db, terms, now, after, true)? {
            after = Some(last);
        }
        Ok(())
    }
}

/// Evaluates groups whose moment has come; how many, at most [`STEP`].
fn run_out(db: &Db, terms: &Terms, now: Now) -> Result<usize, BooksFault> {
    let mut poster = Poster::new(db, terms, now.wall.0);
    let due = groups::due(&mut poster, STEP)?;
    poster.finish()?;
    Ok(due)
}

fn set(db: &Db, name: &str, number: i64, bytes: &[u8]) -> Result<(), BooksFault> {
    db.run(
        "INSERT INTO settings (name, number, bytes) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET number = excluded.number, bytes = excluded.bytes",
        values![name, number, *bytes],
    )
    .map(drop)
    .map_err(BooksFault::sql("write its settings"))
}

/// Takes back what some groups stand for; whether there may be more.
fn clear_groups(db: &Db, terms: &Terms, now: Now) -> Result<bool, BooksFault> {
    let rows: Vec<(u8, [u8; 16], Vec<u8>)> = db
        .rows(
            "SELECT kind, hash, causes FROM group_states ORDER BY kind, hash LIMIT ?1",
            values![column(STEP as u64)],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(BooksFault::sql("list groups"))?;
    let mut poster = Poster::new(db, terms, now.wall.0);
    for (kind, hash, causes) in &rows {
        let (causes, _) = causes.as_chunks::<16>();
        for cause in causes {
            poster.settle_in(FactId(*cause), &[], false)?;
        }
        db.run(
            "DELETE FROM group_states WHERE kind = ?1 AND hash = ?2",
            values![*kind, *hash],
        )
        .map_err(BooksFault::sql("forget a group's state"))?;
    }
    // Their members are still tied: they are evaluated when all of them are clear.
    poster.marks.clear();
    poster.finish()?;
    if rows.is_empty() {
        forget_ties(db)?;
    }
    Ok(!rows.is_empty())
}

fn forget_ties(db: &Db) -> Result<(), BooksFault> {
    for sql in [
        "DELETE FROM group_members",
        "DELETE FROM group_words",
        "DELETE FROM group_asks",
        "DELETE FROM open_claims",
    ] {
        db.run(sql, values![])
            .map_err(BooksFault::sql("forget groups"))?;
    }
    Ok(())
}

/// Posts the facts after this one again, and with the first ones all gaps; the last of them, `None`
/// when there was none. `from_nothing`: the books are empty, so that nothing need be looked for to be
/// taken back.
fn again(
    db: &Db,
    terms: &Terms,
    now: Now,
    after: Option<FactId>,
    from_nothing: bool,
) -> Result<Option<FactId>, BooksFault> {
    let from = after.map_or_else(Vec::new, |fact| fact.0.to_vec());
    let facts: Vec<FactId> = db
        .rows(
            "SELECT DISTINCT fact_id FROM facts WHERE fact_id > ?1 ORDER BY fact_id LIMIT ?2",
            values![from, column(STEP as u64)],
            |row| Ok(FactId(row.get(0)?)),
        )
        .map_err(BooksFault::sql("list facts"))?;
    let mut poster = Poster::new(db, terms, now.wall.0);
    if after.is_none() {
        poster.gaps.extend(gaps::every(db)?);
    }
    for fact in &facts {
        match from_nothing {
            true => {
                let winner = identity::winner(&poster, *fact)?;
                winner.into_iter().for_each(|fact| poster.fresh(fact));
            }
            false => poster.again(*fact),
        }
    }
    poster.finish()?;
    Ok(facts.last().copied())
}

/// Empties everything that follows from facts.
fn forget_everything(db: &Db) -> Result<(), BooksFault> {
    forget_ties(db)?;
    for sql in [
        "DELETE FROM group_states",
        "DELETE FROM entries",
        "DELETE FROM balances",
        "DELETE FROM drawers",
        "DELETE FROM stock_lines",
        "DELETE FROM refunds_of",
        "DELETE FROM topics",
        "DELETE FROM accepted",
    ] {
        db.run(sql, values![])
            .map_err(BooksFault::sql("forget the books"))?;
    }
    let [a, b, c, d, e, f, g, h] = OF_INTAKE.map(BreakClass::text);
    db.run(
        "DELETE FROM breaks
         WHERE suspense <> 0 OR class NOT IN (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        values![a, b, c, d, e, f, g, h],
    )
    .map(drop)
    .map_err(BooksFault::sql("forget breaks"))
}
