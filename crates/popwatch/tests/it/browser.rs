//! A headless Chromium, driven through its own protocol over a pipe: no port, no client library.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Folder, LIMIT, until};

/// Messages of the browser that wait to be looked at.
const MESSAGES_MAX: usize = 4_096;

/// One browser with one page; closed with the value.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    events: VecDeque<Value>,
    session: String,
    last_id: u64,
    _profile: Folder,
}

impl Browser {
    pub(crate) fn open(name: &str) -> Self {
        let profile = Folder::new(&format!("chromium-{name}"));
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let on_path = |name: &&&str| {
            std::env::split_paths(&std::env::var_os("PATH").unwrap())
                .any(|folder| folder.join(name).is_file())
        };
        let program = names.iter().find(on_path).expect("a chromium on the path");
        // The protocol is spoken on descriptors 3 and 4.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null",
                "sh",
            ])
            .args([
                program,
                "--headless=new",
                "--no-sandbox",
                "--remote-debugging-pipe",
            ])
            .args([
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--lang=en-GB",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .arg(format!(
                "--user-data-dir={}",
                profile.join("profile").display()
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (messages, from) = sync_channel(MESSAGES_MAX);
        thread::spawn(move || {
            for message in BufReader::new(out).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).unwrap();
                if messages.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            to,
            from,
            events: VecDeque::new(),
            session: String::new(),
            last_id: 0,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        attached["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Audits"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Calls a method and waits for its result; events that come meanwhile are kept.
    #[track_caller]
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        loop {
            let mut message = self.from.recv_timeout(LIMIT).expect("the browser answers");
            if message["id"] == self.last_id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push_back(message);
        }
    }

    pub(crate) fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
    }

    /// Loads the page anew and waits until it has: in between nobody is there to answer.
    pub(crate) fn reload(&mut self) {
        self.events.extend(self.from.try_iter());
        let before = self.events.len();
        self.call("Page.reload", json!({}));
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().skip(before).any(loaded) {
            let event = self.from.recv_timeout(LIMIT).expect("the page loads");
            self.events.push_back(event);
        }
    }

    /// Runs this in each page before anything of its own.
    pub(crate) fn first_of_all(&mut self, script: &str) {
        let source = json!({ "source": script });
        self.call("Page.addScriptToEvaluateOnNewDocument", source);
    }

    /// Sets the window: its size in CSS pixels, device pixels per CSS pixel, and the colour scheme.
    pub(crate) fn window(&mut self, (width, height): (u32, u32), mobile: bool, scheme: &str) {
        let scale = if mobile { 2 } else { 1 };
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile,
        });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        );
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", params);
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Presses and releases a key that writes nothing.
    pub(crate) fn press(&mut self, key: &str) {
        self.call(
            "Emulation.setFocusEmulationEnabled",
            json!({ "enabled": true }),
        );
        let code = match key {
            "Tab" => 9,
            "ArrowLeft" => 37,
            other => panic!("what number has {other}?"),
        };
        for kind in ["rawKeyDown", "keyUp"] {
            let params = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
            });
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// The same as if a person had clicked: what opens further tabs is let through.
    pub(crate) fn gesture(&mut self, expression: &str) {
        let params = json!({ "expression": expression, "userGesture": true });
        let answer = self.call("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{answer}");
    }

    /// The raw value an element carries beside its text: `data-minor`, `data-value` or
    /// `data-state`; null when there is no such element.
    #[track_caller]
    pub(crate) fn value(&mut self, testid: &str) -> Value {
        let script = "(id => { const e = document.querySelector(`[data-testid=\"${id}\"]`); \
            return e && (e.dataset.minor ?? e.dataset.value ?? e.dataset.state ?? null); })";
        self.evaluate(&format!("{script}({})", json!(testid)))
    }

    /// Waits until the page shows this raw value.
    #[track_caller]
    pub(crate) fn shows(&mut self, testid: &str, value: &str) {
        until(&format!("{testid} shows {value}"), || {
            (self.value(testid) == value).then_some(())
        });
    }

    /// What went wrong on the page since it was last asked: errors of the console, exceptions,
    /// breaches of its content policy.
    pub(crate) fn complaints(&mut self) -> Vec<Value> {
        // An answer stands behind all events that came before it.
        self.evaluate("0");
        self.events.extend(self.from.try_iter());
        let wrong = |event: &Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Audits.issueAdded") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            Some(_) | None => false,
        };
        self.events.drain(..).filter(wrong).collect()
    }

    /// Writes what the window shows as a PNG.
    pub(crate) fn screenshot(&mut self, path: &Path) {
        self.call("Emulation.setScrollbarsHidden", json!({ "hidden": true }));
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = base64(shot["data"].as_str().unwrap());
        std::fs::write(path, bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let last = b"{\"id\":0,\"method\":\"Browser.close\"}\0";
        if self.to.write_all(last).is_err() {
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}

fn base64(text: &str) -> Vec<u8> {
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("no base64: {other}"),
    };
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = four
            .iter()
            .fold(0_u32, |bits, byte| bits << 6 | u32::from(sextet(*byte)));
        let bytes = (bits << (6 * (4 - four.len()))).to_be_bytes();
        out.extend(&bytes[1..four.len()]);
    }
    out
}
