//! Asks every 10 s, while a popup is open, whether the way that payments take is open: each configured
//! address must answer within 5 s, all of them together, with anything but a fault of its own.
//!
//! What always holds: each dry run makes its connections anew, name and certificate included, as a
//! payment after a pause does; nothing is sent but a GET without a body, so nothing is charged.

use std::time::Duration;

use popwatch_core::dry_run::DryRun;
use popwatch_core::limits::{DRY_RUN_ADDRESSES_MAX, DRY_RUN_MS, DRY_RUN_WAIT_MS};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, timeout};

use crate::ambient::Ambient;
use crate::client::Client;
use crate::config::ConfigFault;
use crate::{Node, until};

/// Refuses what a dry run cannot ask.
pub(crate) fn check(addresses: &[String]) -> Result<(), ConfigFault> {
    let wrong = |problem: String| ConfigFault::Value {
        field: String::from("edge.checkout_probe"),
        problem,
    };
    if addresses.len() > DRY_RUN_ADDRESSES_MAX {
        let problem = format!("has more than {DRY_RUN_ADDRESSES_MAX} addresses");
        return Err(wrong(problem));
    }
    for url in addresses {
        Client::place_of(url).map_err(|fault| wrong(fault.to_string()))?;
    }
    Ok(())
}

impl Node {
    /// Makes dry runs from now on, if there is anybody to ask.
    pub(crate) fn start_dry_runs(&mut self, addresses: &[String], ambient: &Ambient) -> DryRunning {
        let (opens, open) = watch::channel(false);
        let (out, outcomes) = mpsc::channel(1);
        if !addresses.is_empty() {
            let task = run(addresses.to_vec(), open, out, ambient.clone());
            self.tasks.spawn(until(self.shutdown.subscribe(), task));
        }
        DryRunning {
            open: opens,
            outcomes,
        }
    }
}

/// The loop's end of the dry runs.
#[derive(Debug)]
pub(crate) struct DryRunning {
    /// Whether a popup is open.
    pub(crate) open: watch::Sender<bool>,
    /// What came of them; none come where nobody is to be asked.
    pub(crate) outcomes: mpsc::Receiver<DryRun>,
}

/// Makes dry runs while `open` says that a popup is, until nobody takes their outcomes.
pub(crate) async fn run(
    addresses: Vec<String>,
    mut open: watch::Receiver<bool>,
    out: mpsc::Sender<DryRun>,
    ambient: Ambient,
) {
    let wait = Duration::from_millis(DRY_RUN_WAIT_MS);
    let made = tokio::task::spawn_blocking(move || Client::public(wait, wait)).await;
    let Ok(client) = made else { return };
    let mut every = tokio::time::interval(Duration::from_millis(DRY_RUN_MS));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if open.wait_for(|open| *open).await.is_err() {
            return;
        }
        let run = one(&client, &addresses, &ambient).await;
        if out.send(run).await.is_err() {
            return;
        }
    }
}

async fn one(client: &Client, addresses: &[String], ambient: &Ambient) -> DryRun {
    let began = ambient.now().mono;
    let mut asked = "";
    let walked = timeout(
        Duration::from_millis(DRY_RUN_WAIT_MS),
        walk(client, addresses, &mut asked),
    );
    let failed = match walked.await {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => Some(format!("no answer within {DRY_RUN_WAIT_MS} ms")),
    };
    let failed = failed.map(|why| {
        let place = Client::place_of(asked).unwrap_or_default();
        tracing::debug!(place, why, "a dry run of a checkout failed");
        place
    });
    let took_ms = ambient.now().mono.since(began);
    DryRun {
        took_ms: u32::try_from(took_ms).unwrap_or(u32::MAX),
        failed,
    }
}

/// Asks one address after the other, telling which; ends with why the first failed that did.
async fn walk<'a>(
    client: &Client,
    addresses: &'a [String],
    asked: &mut &'a str,
) -> Result<(), String> {
    for url in addresses {
        *asked = url;
        let answer = client.get(url, &[("connection", "close")]).await;
        let status = answer.map_err(|fault| fault.to_string())?.status;
        if status >= 500 {
            return Err(format!("it answered with status {status}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A listener that answers each connection with one status, and how many it got.
    async fn shop(status: &'static str) -> (String, watch::Receiver<u32>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let (count, counted) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.send_modify(|count| *count += 1);
                let mut request = [0; 1024];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(text.as_bytes()).await.unwrap();
            }
        });
        (place, counted)
    }

    #[tokio::test]
    async fn a_way_is_open_when_all_of_it_answers_for_itself() {
        let (bridge, asked) = shop("200 OK").await;
        let (provider, _) = shop("401 Who are you").await;
        let (ill, _) = shop("503 Later").await;
        let nobody = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().to_string()
        };
        let wait = Duration::from_secs(5);
        let client = Client::public(wait, wait);
        for (ways, failed) in [
            (vec![&bridge, &provider], None),
            (vec![&bridge, &ill], Some(&ill)),
            (vec![&nobody, &bridge], Some(&nobody)),
        ] {
            let ways: Vec<_> = ways
                .iter()
                .map(|place| format!("http://{place}/"))
                .collect();
            let run = one(&client, &ways, &Ambient::system()).await;
            assert_eq!(run.failed.as_ref(), failed);
        }
        assert_eq!(*asked.borrow(), 2, "the third way ended before it");
    }

    #[tokio::test]
    async fn nothing_is_asked_while_no_popup_is_open() {
        let (place, asked) = shop("200 OK").await;
        let url = format!("http://{place}/");
        let (opens, open) = watch::channel(false);
        let (out, mut outcomes) = mpsc::channel(8);
        let closed = tokio::spawn(run(vec![url.clone()], open, out.clone(), Ambient::system()));
        drop(opens);
        closed.await.unwrap();
        assert_eq!(*asked.borrow(), 0);
        let (_opens, open) = watch::channel(true);
        let task = tokio::spawn(run(vec![url], open, out, Ambient::system()));
        assert_eq!(outcomes.recv().await.unwrap().failed, None);
        assert_eq!(*asked.borrow(), 1);
        task.abort();
    }

    #[test]
    fn what_cannot_be_asked_is_refused_by_its_name() {
        let said = |list: &[&str]| {
            let list: Vec<_> = list.iter().map(|url| (*url).to_owned()).collect();
            check(&list).map_err(|fault| fault.to_string())
        };
        assert_eq!(
            said(&["https://pay.example/health", "http://127.0.0.1:9000"]),
            Ok(())
        );
        let fault = said(&["pay.example"]).unwrap_err();
        assert!(fault.contains("edge.checkout_probe"), "{fault}");
        assert!(fault.contains("https://host:port"), "{fault}");
        assert!(said(&["http://a"; 5]).is_err());
    }
}
