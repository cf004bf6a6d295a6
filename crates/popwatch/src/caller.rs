//! Who the commands are to the popwatch they call: the pass and the code given on the command line.

use std::path::Path;
use std::sync::OnceLock;

use popwatch_node::client::Client;

use crate::exit::Misuse;

/// What each call shows.
#[derive(Debug, Default)]
struct Shown {
    pass: Option<String>,
    code: Option<String>,
}

static SHOWN: OnceLock<Shown> = OnceLock::new();

/// Reads the pass; once, before any command runs.
pub(crate) fn set(pass: Option<&Path>, code: Option<&str>) -> anyhow::Result<()> {
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map(|text| text.trim().to_owned())
            .map_err(|fault| Misuse::input(format!("{} cannot be read: {fault}", path.display())))
    };
    let shown = Shown {
        pass: pass.map(read).transpose()?,
        code: code.map(str::to_owned),
    };
    drop(SHOWN.set(shown));
    Ok(())
}

/// Whether a pass is shown.
pub(crate) fn shows_pass() -> bool {
    SHOWN.get().is_some_and(|shown| shown.pass.is_some())
}

/// A client that shows them.
pub(crate) fn client() -> Client {
    showing(Client::new())
}

/// The same of a client with its own waits.
pub(crate) fn showing(client: Client) -> Client {
    match SHOWN.get() {
        Some(shown) => client
            .with_pass(shown.pass.as_deref())
            .with_code(shown.code.as_deref()),
        None => client,
    }
}
