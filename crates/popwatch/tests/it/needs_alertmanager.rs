//! A real Alertmanager and a plain webhook receiver are told of a page while both are away at times
//! and the region is killed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Folder, Process, Site, free_port, sell, try_get, until_within};

const POPUP: &str = "market";
const LIMIT: Duration = Duration::from_secs(60);

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An Alertmanager that passes everything on to `receiver` at once.
fn alertmanager(folder: &Folder, port: u16, receiver: u16) -> Server {
    let config = format!(
        "route:\n  receiver: all\n  group_by: [slo, rig]\n  group_wait: 0s\n  group_interval: 1s\n\
         receivers:\n  - name: all\n    webhook_configs:\n      - url: http://127.0.0.1:{receiver}/\n"
    );
    let file = folder.write("alertmanager.yml", &config);
    let child = Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", folder.join("am").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--cluster.listen-address=", "--log.level=error"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Server(child)
}

/// A receiver of webhooks, which refuses while it is told to.
#[derive(Clone, Default)]
struct Receiver {
    refuses: Arc<AtomicBool>,
    took: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = Self::default();
        let receiver = own.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                receiver.serve(stream);
            }
        });
        (own, port)
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut piece) {
            bytes.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&bytes);
            let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let Ok(body) = serde_json::from_str::<Value>(body) else {
                continue;
            };
            let status = if self.refuses.load(Ordering::SeqCst) {
                "503 Later"
            } else {
                self.took.lock().unwrap().push(body);
                "200 OK"
            };
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            drop(stream.write_all(answer.as_bytes()));
            return;
        }
    }

    fn refuse(&self, is: bool) {
        self.refuses.store(is, Ordering::SeqCst);
    }

    /// The states it took of the popup's page on payments, in order.
    fn states(&self) -> Vec<String> {
        let took = self.took.lock().unwrap();
        let alerts = took.iter().flat_map(|body| {
            assert_eq!(body["version"], "4", "{body}");
            body["alerts"].as_array().unwrap().iter()
        });
        let whole = alerts.filter(|alert| alert["labels"].get("rig").is_none());
        let text = whole.map(|alert| alert["status"].as_str().unwrap().to_owned());
        text.collect()
    }
}

/// The popup's alert as Alertmanager holds it.
fn held(alertmanager: &str) -> Option<Vec<Value>> {
    let alerts = try_get(alertmanager, "/api/v2/alerts")?;
    let whole = alerts.as_array()?.iter();
    let whole = whole.filter(|alert| alert["labels"].get("rig").is_none());
    Some(whole.cloned().collect())
}

fn rfc3339(hours: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ms = i64::try_from(now.as_millis()).unwrap() + hours * 3_600_000;
    popwatch_wire::json::rfc3339(ms)
}

fn payments(kind: &str, from: u32, count: u32) -> Vec<Value> {
    let event = |n: u32| {
        let mut data = json!({"payment": format!("p{n}"), "order": format!("o{n}"), "amount": 500,
            "currency": "EUR"});
        match kind {
            "failed" => data["reason"] = json!("technical"),
            _ => data["method"] = json!("card"),
        }
        json!({"specversion": "1.0", "id": format!("{n}"), "source": "c", "popup": POPUP,
            "type": format!("popwatch.payment.{kind}"), "data": data})
    };
    (from..from + count).map(event).collect()
}

fn region(site: &Site, alertmanager: &str, webhook: u16) -> Process {
    let config = format!(
        "data = \"{}\"\n[region]\nlisten = \"{}\"\nalerts = [\n  {{ kind = \"alertmanager\", url = \"http://{alertmanager}/\" }},\n  \
         {{ kind = \"webhook\", url = \"http://127.0.0.1:{webhook}/hook\" }},\n]\n",
        site.folder.join("pages").display(),
        site.region
    );
    site.started("region", &config)
}

#[test]
#[ignore = "needs: alertmanager"]
fn a_page_reaches_alertmanager_and_a_receiver_once_per_state() {
    let site = Site::new("alerts");
    let folder = Folder::new("alerts-am");
    let port = free_port();
    let alerts_at = format!("127.0.0.1:{port}");
    let (routed, routed_port) = Receiver::start();
    let (plain, plain_port) = Receiver::start();
    plain.refuse(true);
    let mut first = region(&site, &alerts_at, plain_port);
    let edge = format!(
        "{}[[popups]]\nid = \"{POPUP}\"\nstarts = \"{}\"\nends = \"{}\"\n\
         [popups.promises]\nslos = [{{ slo = \"payment_success\", objective_ppm = 500_000 }}]\n",
        site.edge_config(),
        rfc3339(-1),
        rfc3339(2)
    );
    let _edge = site.started("edge", &edge);

    // Nobody is there to hear it.
    sell(&site.edge, &payments("failed", 0, 60));
    until_within(LIMIT, "the region says that both are away", || {
        let said = first.said();
        let told = |what: &str| {
            said.lines()
                .any(|line| line.contains("PW3303") && line.contains(what))
        };
        (told("nothing answers") && told("503")).then_some(())
    });
    let said = first.said();
    assert!(
        !said.contains("/hook"),
        "an address may hold a secret: {said}"
    );

    // The region is killed, the others come; it raises the page from what rigs send again.
    first.kill();
    let _alertmanager = alertmanager(&folder, port, routed_port);
    plain.refuse(false);
    let mut second = region(&site, &alerts_at, plain_port);
    let firing = until_within(LIMIT, "alertmanager holds the page", || {
        held(&alerts_at).filter(|alerts| alerts.len() == 1)
    });
    let began = firing[0]["startsAt"].clone();
    assert_eq!(firing[0]["labels"]["slo"], "payment_success", "{firing:?}");
    until_within(LIMIT, "the receiver took the page", || {
        (plain.states() == ["firing"]).then_some(())
    });
    until_within(LIMIT, "alertmanager passed it on", || {
        (routed.states().first()? == "firing").then_some(())
    });

    // Killed again with everybody there: nothing is told twice, and the page goes on.
    second.kill();
    let _third = region(&site, &alerts_at, plain_port);
    sell(&site.edge, &payments("captured", 100, 10));
    until_within(LIMIT, "the new region sees the payments", || {
        let slo = try_get(&site.region, &format!("/v1/popups/{POPUP}/slo"))?;
        slo.to_string().contains("\"n\":70").then_some(())
    });
    assert_eq!(plain.states(), ["firing"]);
    assert_eq!(held(&alerts_at).unwrap()[0]["startsAt"], began);

    // It is over: the receiver hears it when it is back, once.
    plain.refuse(true);
    sell(&site.edge, &payments("captured", 200, 120));
    until_within(LIMIT, "alertmanager holds no page", || {
        held(&alerts_at).filter(Vec::is_empty)
    });
    plain.refuse(false);
    until_within(LIMIT, "the receiver took its end", || {
        (plain.states() == ["firing", "resolved"]).then_some(())
    });
    until_within(LIMIT, "alertmanager passed its end on", || {
        (routed.states().last()? == "resolved").then_some(())
    });
    assert_eq!(plain.states(), ["firing", "resolved"]);
}
