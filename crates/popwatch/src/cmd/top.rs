//! `popwatch top`: the live stream of an edge or region in a terminal.
//!
//! The stream is read as any browser reads it and resumed where it broke. Pictures are made by
//! [`frame`] from the rows of [`board`]; a terminal gets at most ten a second. Where the output is no
//! terminal one picture is printed and that is all.

mod board;
mod frame;

use std::io::{IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::args::TopArgs;
use crate::caller;
use crate::exit::Exit;
use crate::print::{self, Format};
use board::{Board, Event, Lines};
use frame::{Look, Tone};

/// Between two pictures, at least.
const REDRAW: Duration = Duration::from_millis(100);
/// Between two pictures of a terminal that cannot be drawn on.
const REDRAW_DUMB: Duration = Duration::from_secs(5);
/// A stream that says nothing for this long is opened anew.
const SILENCE: Duration = Duration::from_millis(12_500);
/// Before a lost stream is opened again.
const AGAIN: Duration = Duration::from_secs(1);
/// Events and keys waiting to be looked at. Beyond: their reader waits.
const WAITING_MAX: usize = 16;
const COLUMNS: usize = 80;
const LINES: usize = 24;

/// Shows a popup until `q`.
pub(crate) async fn run(args: &TopArgs, format: Format) -> anyhow::Result<Exit> {
    let base = args.url.trim_end_matches('/');
    let popup = match &args.popup {
        Some(popup) => popup.clone(),
        None => newest_popup(base).await?,
    };
    let shown = std::io::stdout().is_terminal();
    match format {
        Format::Json if args.once => {
            let mut board = Board::default();
            let rows = board.take(&summary(base, &popup).await?);
            print_rows(&board, rows)?;
        }
        Format::Json => rows_for_ever(base, &popup).await?,
        Format::Text if args.once || !shown => {
            let mut board = Board::default();
            board.take(&summary(base, &popup).await?);
            let (columns, _) = size();
            let look = Look {
                columns,
                lines: LINES,
                age_ms: Some(0),
                ..Look::default()
            };
            let mut lines = frame::draw(&board, &popup, &look);
            // Keys are for who can press them.
            lines.pop();
            print::line(painted(&lines, shown && has_colour(), "\n").trim_end())?;
        }
        Format::Text => screen(base, &popup).await?,
    }
    Ok(Exit::Done)
}

/// The popup that began last.
async fn newest_popup(base: &str) -> anyhow::Result<String> {
    let answer = caller::client()
        .get(&format!("{base}/v1/popups"), &[])
        .await?;
    let list: Value = serde_json::from_slice(&answer.body).context("the list of popups")?;
    let popups = list["popups"].as_array().into_iter().flatten();
    let newest = popups.max_by_key(|popup| popup["starts_ms"].as_i64());
    let id = newest.and_then(|popup| popup["id"].as_str());
    id.map(str::to_owned).with_context(|| {
        format!("no popup has begun at {base}; start one, or name it with --popup")
    })
}

/// The first screen, as the event that a stream would begin with.
async fn summary(base: &str, popup: &str) -> anyhow::Result<Event> {
    let url = format!("{base}/v1/popups/{popup}/summary");
    let answer = caller::client().get(&url, &[]).await?;
    let data = String::from_utf8_lossy(&answer.body).into_owned();
    if !answer.is_success() {
        bail!("{url} answered {}: {data}", answer.status);
    }
    Ok(Event {
        name: String::from("snapshot"),
        data,
        id: None,
    })
}

fn print_rows(board: &Board, rows: Vec<(String, Value)>) -> anyhow::Result<()> {
    print::json(&json!({ "asof": board.asof }))?;
    for (key, row) in rows {
        print::json(&json!({ "key": key, "row": row }))?;
    }
    Ok(())
}

/// Each row that changes, as it changes.
async fn rows_for_ever(base: &str, popup: &str) -> anyhow::Result<()> {
    let (events, mut heard) = mpsc::channel(WAITING_MAX);
    let listening = listen(base.to_owned(), popup.to_owned(), events);
    let printing = async {
        let mut board = Board::default();
        while let Some(event) = heard.recv().await {
            let rows = board.take(&event);
            print_rows(&board, rows)?;
        }
        Ok(())
    };
    tokio::select! {
        () = listening => Ok(()),
        printed = printing => printed,
    }
}

/// The stream's events, for as long as somebody takes them; a lost stream is opened again.
async fn listen(base: String, popup: String, events: mpsc::Sender<Event>) {
    let mut place = None;
    while !events.is_closed() {
        // Why it ended does not matter: the age on the screen tells, and it is tried again.
        drop(follow(&base, &popup, &mut place, &events).await);
        tokio::time::sleep(AGAIN).await;
    }
}

async fn follow(
    base: &str,
    popup: &str,
    place: &mut Option<String>,
    events: &mpsc::Sender<Event>,
) -> anyhow::Result<()> {
    let host = base
        .strip_prefix("http://")
        .context("an address begins with http://")?;
    let mut stream = timeout(SILENCE, TcpStream::connect(host)).await??;
    let last = place.as_ref();
    let last = last.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
    // HTTP/1.0 asks for a body that is not cut into chunks.
    let request = format!(
        "GET /v1/popups/{popup}/stream HTTP/1.0\r\nHost: {host}\r\nAccept: text/event-stream\r\n{last}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let mut next = async || -> anyhow::Result<String> {
        let line = timeout(SILENCE, lines.next_line()).await??;
        line.context("the stream ended")
    };
    let status = next().await?;
    if !status.contains(" 200 ") {
        bail!("{status}");
    }
    while !next().await?.is_empty() {}
    let mut parts = Lines::default();
    loop {
        if let Some(event) = parts.take(&next().await?) {
            if event.id.is_some() {
                place.clone_from(&event.id);
            }
            if events.send(event).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// The terminal as a screen, for as long as it is wanted.
async fn screen(base: &str, popup: &str) -> anyhow::Result<()> {
    let (events, mut heard) = mpsc::channel(WAITING_MAX);
    let mut listening = std::pin::pin!(listen(base.to_owned(), popup.to_owned(), events));
    let (pressed, mut keys) = mpsc::channel(WAITING_MAX);
    let is_dumb = std::env::var("TERM").is_ok_and(|name| name == "dumb");
    let terminal = if is_dumb {
        None
    } else {
        Terminal::enter(pressed)
    };
    let mut drawn = Drawn::new(terminal.is_some());
    let mut board = Board::default();
    let every = if terminal.is_some() {
        REDRAW
    } else {
        REDRAW_DUMB
    };
    let mut redraw = tokio::time::interval(every);
    let mut look = Look::default();
    let mut spoke: Option<Instant> = None;
    loop {
        tokio::select! {
            () = &mut listening => {}
            Some(event) = heard.recv(), if !look.paused => {
                board.take(&event);
                spoke = Some(Instant::now());
            }
            Some(key) = keys.recv() => if !obey(key, &mut look) { break },
            _ = tokio::signal::ctrl_c() => break,
            _ = redraw.tick() => {
                (look.columns, look.lines) = size();
                look.age_ms = spoke.map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX));
                drawn.show(&frame::draw(&board, popup, &look))?;
            }
        }
    }
    drop(terminal);
    Ok(())
}

/// Does what a key asks for; false to quit.
fn obey(key: u8, look: &mut Look) -> bool {
    match key {
        b'q' | 3 => return false,
        b'\t' => look.pane = look.pane.next(),
        b's' => look.sort += 1,
        b'c' => look.currency += 1,
        b'p' => look.paused = !look.paused,
        b'?' | b'h' => look.help = !look.help,
        _other => {}
    }
    true
}

/// What stands on the screen: the same picture is not drawn twice.
struct Drawn {
    moves: bool,
    colour: bool,
    before: String,
}

impl Drawn {
    fn new(moves: bool) -> Self {
        Self {
            moves,
            colour: moves && has_colour(),
            before: String::new(),
        }
    }

    fn show(&mut self, lines: &[frame::Line]) -> std::io::Result<()> {
        let picture = match self.moves {
            true => format!("\x1b[H{}\x1b[J", painted(lines, self.colour, "\x1b[K\r\n")),
            false => painted(lines, false, "\n"),
        };
        if picture == self.before {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        out.write_all(picture.as_bytes())?;
        out.flush()?;
        self.before = picture;
        Ok(())
    }
}

/// The lines with their colours, the last one without an end.
fn painted(lines: &[frame::Line], colour: bool, end: &str) -> String {
    let painted = lines.iter().map(|(tone, text)| {
        let code = match (colour, tone) {
            (false, _) | (true, Tone::Plain) => return text.clone(),
            (true, Tone::Head) => "1",
            (true, Tone::Dim) => "2",
            (true, Tone::Warn) => "33",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    });
    painted.collect::<Vec<_>>().join(end)
}

fn has_colour() -> bool {
    // See https://no-color.org: any value that is not empty.
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns and lines of the terminal; 80 by 24 where there is none.
fn size() -> (usize, usize) {
    let found = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let found = found.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    found.map_or((COLUMNS, LINES), |size| {
        (size.ws_col.into(), size.ws_row.into())
    })
}

/// A terminal that gives its keys at once and shows no cursor; as it was when dropped.
struct Terminal(rustix::termios::Termios);

impl Terminal {
    /// `None` where there is no keyboard.
    fn enter(pressed: mpsc::Sender<u8>) -> Option<Self> {
        let before = rustix::termios::tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        let now = rustix::termios::OptionalActions::Now;
        rustix::termios::tcsetattr(std::io::stdin(), now, &raw).ok()?;
        print_now("\x1b[?1049h\x1b[?25l");
        // It ends with the process: a read of the keyboard cannot be called off.
        std::thread::spawn(move || {
            for key in std::io::stdin().lock().bytes().map_while(Result::ok) {
                if pressed.blocking_send(key).is_err() {
                    return;
                }
            }
        });
        Some(Self(before))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        print_now("\x1b[?25h\x1b[?1049l");
        let now = rustix::termios::OptionalActions::Now;
        if let Err(fault) = rustix::termios::tcsetattr(std::io::stdin(), now, &self.0) {
            print::note(format!(
                "the terminal keeps its mode ({fault}); `reset` helps"
            ));
        }
    }
}

/// Writes to the terminal; one that is gone needs nothing.
fn print_now(text: &str) {
    let mut out = std::io::stdout().lock();
    let _gone = out
        .write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_err();
}
