// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! As much of the protocol of a Chromium's developer tools as the tests of the page need.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// A browser that has done nothing for so long does nothing any more.
const LIMIT: Duration = Duration::from_secs(60);

/// A browser with one page. It ends when dropped.
pub struct Browser {
    child: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    number: u64,
    /// What was written to the console or went wrong in the page.
    pub complaints: Vec<String>,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Starts `program`.
    pub fn start(program: &str) -> Self {
        let profile = tempfile::tempdir().expect("a folder for the browser");
        let mut command = Command::new(program);
        command.args([
            "--headless",
            // The page is our own, and the browser may run as root.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
            // It is to look for nothing on the network.
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("the browser starts");
        let address = address(&profile.path().join("DevToolsActivePort"));
        let (socket, _) = tungstenite::connect(address).expect("the browser listens");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        }
        let mut browser = Self {
            child,
            socket,
            session: String::new(),
            number: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        browser.session = text(&browser.call("Target.attachToTarget", attach)["sessionId"]);
        // As if its window were the one in front.
        browser.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true}));
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            browser.call(domain, json!({}));
        }
        browser
    }

    /// Sends a command and waits for its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(message.to_string())).expect("the browser is there");
        loop {
            let answer = self.receive();
            if answer["id"] == json!(self.number) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    fn receive(&mut self) -> Value {
        let message = self.socket.read().expect("the browser answers");
        let value: Value = match message {
            Message::Text(text) => serde_json::from_str(&text).expect("the browser speaks JSON"),
            _ => Value::Null,
        };
        let complaint = match value["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded") => true,
            // Nothing but the page itself may be asked for.
            Some("Network.requestWillBeSent") => {
                let url = text(&value["params"]["request"]["url"]);
                !url.starts_with("file:") && !url.starts_with("data:")
            }
            _ => false,
        };
        if complaint {
            self.complaints.push(value["params"].to_string());
        }
        value
    }

    /// Opens a file with a window of that size.
    pub fn open(&mut self, file: &Path, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.call("Page.navigate", json!({"url": format!("file://{}", file.display())}));
        let start = Instant::now();
        while self.eval("document.readyState") != json!("complete") {
            assert!(start.elapsed() < LIMIT, "the page does not load");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The value of an expression in the page.
    pub fn eval(&mut self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", parameters);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// The text of an expression.
    pub fn text(&mut self, expression: &str) -> String {
        text(&self.eval(expression))
    }

    /// The number of elements that a selector finds.
    pub fn count(&mut self, selector: &str) -> u64 {
        self.eval(&format!("document.querySelectorAll({}).length", json!(selector)))
            .as_u64()
            .expect("a number")
    }

    /// Moves the pointer, presses it or lets it go.
    pub fn mouse(&mut self, kind: &str, x: f64, y: f64) {
        let button = if kind == "mouseMoved" { "none" } else { "left" };
        let parameters =
            json!({"type": kind, "x": x, "y": y, "button": button, "buttons": 1, "clickCount": 1});
        self.call("Input.dispatchMouseEvent", parameters);
    }

    /// Presses a key.
    pub fn key(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            self.call("Input.dispatchKeyEvent", json!({"type": kind, "key": key}));
        }
    }

    /// Sets what the page's media queries are about: `print` or `screen`, `light` or `dark`.
    pub fn media(&mut self, media: &str, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"media": media, "features": features}));
    }

    /// The whole page as a PNG, in base64.
    pub fn screenshot(&mut self) -> String {
        let parameters = json!({"format": "png", "captureBeyondViewport": true});
        text(&self.call("Page.captureScreenshot", parameters)["data"])
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Where the browser listens, once it has written it down.
fn address(file: &Path) -> String {
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut lines = text.lines();
        if let (Some(port), Some(path)) = (lines.next(), lines.next()) {
            return format!("ws://127.0.0.1:{port}{path}");
        }
        assert!(start.elapsed() < LIMIT, "the browser does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
}
