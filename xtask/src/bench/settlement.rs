//! Settlement files: CSV to normal lines beside Python's csv.DictReader over the same file, and the
//! memory that the largest file takes.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Read, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use popwatch_core::provider::ProviderKind;
use popwatch_redact::pseudonym::ReferenceKey;
use popwatch_wire::settlement::{FileContext, Item, Stopped, read};

use super::line::{Bar, Figure, Line};
use super::meter::{Spent, measure, middle, proc_number};
use super::scratch::Scratch;
use crate::shell;

/// The file that both read, bytes.
const FILE_BYTES: u64 = 64 << 20;
/// The largest file, bytes.
const LARGE_BYTES: u64 = 512 << 20;
const ROUNDS: usize = 3;
const MB: f64 = 1e6;
/// MB of CSV in a CPU-second.
const BAR: f64 = 40.0;
/// Ours ÷ Python's.
const RATIO_BAR: f64 = 4.0;
/// Memory above idle while the largest file is read, MB.
const MEMORY_BAR: f64 = 67.1;
/// Reads every row and answers its CPU time in seconds.
const PYTHON: &str = "import csv, sys, time
start = time.process_time()
rows = sum(1 for row in csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8')))
print(rows, time.process_time() - start)";

const STRIPE: &str = "balance_transaction_id,created,available_on,currency,gross,fee,net,reporting_category,\
source_id,description,customer_facing_amount,customer_facing_currency,automatic_payout_id,\
automatic_payout_effective_at,charge_id,payment_intent_id,customer_email,payment_metadata[pw_ref]\n";
const ADYEN: &str = "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,\
Creation Date,TimeZone,Type,Modification Reference,Gross Currency,Gross Debit (GC),Gross Credit (GC),\
Exchange Rate,Net Currency,Net Debit (NC),Net Credit (NC),Commission (NC),Markup (NC),\
Scheme Fees (NC),Interchange (NC),Payment Method Variant,Modification Merchant Reference,Batch Number\n";

pub(super) fn lines() -> Result<Vec<Line>> {
    let scratch = Scratch::new("settlement")?;
    let path = scratch.path().join("stripe.csv");
    let rows = fill(&path)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(measure(|| of_stripe(File::open(&path)?, rows))?);
        if shell::on_path("python3") {
            theirs.push(python(&path, rows)?);
        }
    }
    let speed =
        |rounds: &[Spent]| (!rounds.is_empty()).then(|| middle(rounds).per_cpu_second() / MB);
    let what = format!("settlement, {} MB of Stripe CSV to lines", FILE_BYTES >> 20);
    let absent = if theirs.is_empty() { " (absent)" } else { "" };
    Ok(vec![
        Line {
            peer: format!("csv.DictReader{absent}"),
            theirs: Figure {
                number: speed(&theirs),
                ..Figure::default()
            },
            ratio_bar: Some(Bar::Least(RATIO_BAR)),
            ..Line::alone(
                &what,
                "MB/CPU-s",
                Figure {
                    number: speed(&ours),
                    ..Figure::default()
                },
                Some(Bar::Least(BAR)),
            )
        },
        memory()?,
    ])
}

/// The memory that the largest file takes, in the layout that remembers most: rows without an id.
fn memory() -> Result<Line> {
    // Forgets the highest memory so far; where that is not possible the figure is too high.
    std::fs::write("/proc/self/clear_refs", "5").ok();
    let process = std::process::id();
    let idle = proc_number(process, "status", "VmRSS").context("no /proc here")?;
    let rows = Rows::new(ADYEN, adyen_row, LARGE_BYTES);
    let key = ReferenceKey::new([1; 32]);
    let of = FileContext::new(Some(ProviderKind::Adyen), "main", &key);
    let mut lines = 0_u64;
    let spent = measure(|| {
        let summary = read(rows, &of, &mut |item| taken(&item, &mut lines))?;
        Ok(summary.bytes)
    })?;
    let peak = proc_number(process, "status", "VmHWM").context("no /proc here")?;
    Ok(Line::alone(
        &format!(
            "settlement, {} MB of Adyen CSV, {lines} rows: memory above idle",
            spent.units >> 20
        ),
        "MB",
        Figure::number(peak.saturating_sub(idle) as f64 / 1e3),
        Some(Bar::Most(MEMORY_BAR)),
    ))
}

fn taken(item: &Item, lines: &mut u64) -> Result<(), Infallible> {
    *lines += u64::from(matches!(black_box(item), Item::Line(_)));
    Ok(())
}

fn of_stripe(file: File, rows: u64) -> Result<u64> {
    let key = ReferenceKey::new([1; 32]);
    let stamps = [String::from("payment_metadata[pw_ref]")];
    let mut of = FileContext::new(Some(ProviderKind::Stripe), "main", &key);
    of.stamp_columns = &stamps;
    let mut lines = 0;
    let read = read(file, &of, &mut |item| taken(&item, &mut lines));
    let summary = match read {
        Ok(summary) => summary,
        Err(Stopped::File(fault)) => bail!(fault),
        Err(Stopped::Sink(never)) => match never {},
    };
    if lines != rows {
        bail!("{lines} of {rows} rows were taken");
    }
    Ok(summary.bytes)
}

fn python(path: &Path, rows: u64) -> Result<Spent> {
    let mut command = shell::command("python3");
    let out = command.args(["-c", PYTHON]).arg(path).output()?;
    let text = String::from_utf8(out.stdout)?;
    let (count, seconds) = text.trim().split_once(' ').context("python3 failed")?;
    if count.parse::<u64>()? != rows {
        bail!("python3 read {count} of {rows} rows");
    }
    let cpu = Duration::from_secs_f64(seconds.parse()?);
    Ok(Spent {
        units: std::fs::metadata(path)?.len(),
        cpu,
        wall: cpu,
    })
}

/// Writes the file; answers its rows.
fn fill(path: &Path) -> Result<u64> {
    let mut rows = Rows::new(STRIPE, stripe_row, FILE_BYTES);
    let mut file = BufWriter::new(File::create(path)?);
    std::io::copy(&mut rows, &mut file)?;
    file.flush()?;
    Ok(rows.number)
}

/// A CSV file that is made while it is read.
struct Rows {
    row: fn(u64, &mut String),
    text: String,
    at: usize,
    number: u64,
    left: u64,
}

impl Rows {
    fn new(header: &str, row: fn(u64, &mut String), bytes: u64) -> Self {
        Self {
            row,
            text: header.to_owned(),
            at: 0,
            number: 0,
            left: bytes - header.len() as u64,
        }
    }
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            (self.row)(self.number, &mut self.text);
            if self.text.len() as u64 > self.left {
                return Ok(0);
            }
            self.left -= self.text.len() as u64;
            self.number += 1;
        }
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        let (to, _) = buffer.split_at_mut(count);
        to.copy_from_slice(rest.get(..count).unwrap_or_default());
        self.at += count;
        Ok(count)
    }
}

fn stripe_row(number: u64, out: &mut String) {
    let (gross, fee) = (1_000 + number % 9_000, 39 + number % 200);
    let net = gross - fee;
    let (minute, second) = (number / 60 % 60, number % 60);
    writeln!(
        out,
        "txn_3KabcQ{number:010},2026-03-06 19:{minute:02}:{second:02},2026-03-09,usd,{}.{:02},{}.{:02},{}.{:02},charge,\
         ch_3KabcQ{number:010},\"Sale at the market, till 2\",{}.{:02},usd,po_1Kabc{:06},2026-03-10 00:00:00,\
         ch_3KabcQ{number:010},pi_3KabcQ{number:010},buyer{number}@example.org,pwr-bcdfgh-jklmn-1-{number}-p0-zz",
        gross / 100, gross % 100, fee / 100, fee % 100, net / 100, net % 100, gross / 100, gross % 100,
        number / 50_000,
    )
    .expect("a string takes all");
}

fn adyen_row(number: u64, out: &mut String) {
    let (gross, fee) = (1_000 + number % 9_000, 39 + number % 200);
    let net = gross - fee;
    writeln!(
        out,
        "GeneratedCompany,GeneratedMerchantShop,QRWZT{number:08}GX,pwr-bcdfgh-jklmn-1-{number}-p0-zz,visa,\
         2026-03-06 19:00:00,CET,Settled,MODRW{number:08}GX,EUR,,{}.{:02},1,EUR,,{}.{:02},,{}.{:02},,,\
         visastandardcredit,,{}",
        gross / 100, gross % 100, net / 100, net % 100, fee / 100, fee % 100, number / 50_000,
    )
    .expect("a string takes all");
}
