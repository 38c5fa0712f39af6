//! The daemon as a process or inside this one, and a client for it: HTTP/1.1 on a plain socket, so that a test can do
//! what no library would let it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use florin::api::{self, ApiState, keys::Keys};
use florin::cli::serve::in_cell;
use florin::engine::boot::{Engine, EngineOptions};
use serde_json::Value;
use tokio::sync::oneshot;

/// The secret key of every daemon here.
pub const KEY: &str = "sk_test_damage0and0abuse";

/// Longer than anything that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn florin() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_florin"));
    // A configuration that lies about must not change what is tested.
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    command.env("FLORIN_CONFIG", default).env("FLORIN_TEST_KEY", KEY).env_remove("FLORIN_LOG").stdin(Stdio::null());
    command
}

/// Runs a command of the binary to its end.
pub fn run(arguments: &[&str]) -> Output {
    florin().args(arguments).output().expect("the binary runs")
}

/// A running daemon. Killed when dropped.
pub struct Daemon {
    child: Child,
    pub address: SocketAddr,
    /// Its publishable key.
    pub publishable: String,
    log: JoinHandle<String>,
}

/// A daemon that ended.
pub struct Ended {
    pub status: ExitStatus,
    /// Everything that it wrote to standard error.
    pub log: String,
}

impl Daemon {
    pub fn start(data: &Path) -> Daemon {
        match Daemon::try_start(data, |_| {}) {
            Ok(daemon) => daemon,
            Err(ended) => panic!("the daemon did not start, {}:\n{}", ended.status, ended.log),
        }
    }

    /// Starts one, or tells how it ended.
    pub fn try_start(data: &Path, with: impl FnOnce(&mut Command)) -> Result<Daemon, Ended> {
        let mut command = florin();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        with(&mut command);
        Daemon::of(command)
    }

    /// A daemon that this command starts, or how it ended: one that greets as `florin serve` does.
    pub fn of(mut command: Command) -> Result<Daemon, Ended> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut stderr = child.stderr.take().expect("a pipe");
        let log = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut greeting = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        while let Some(Ok(line)) = lines.next() {
            greeting.push_str(&line);
            greeting.push('\n');
            if line.contains("curl ") {
                break;
            }
        }
        let address = greeting.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        match address.and_then(|text| text.parse().ok()) {
            Some(address) => {
                let publishable = greeting.split_whitespace().find(|word| word.starts_with("pk_test_"));
                Ok(Daemon { child, address, publishable: publishable.unwrap_or_default().to_owned(), log })
            }
            None => {
                let status = child.wait().expect("it ends");
                Err(Ended { status, log: log.join().unwrap_or_default() })
            }
        }
    }

    pub fn client(&self) -> Client {
        Client::to(self.address)
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Ended {
        self.child.kill().expect("it is running");
        self.ended()
    }

    /// `kill -9`, without waiting for the end.
    pub fn kill_now(&self) {
        self.signal(libc::SIGKILL);
    }

    /// Ctrl-C, and waits for the end.
    pub fn stop(self) -> Ended {
        self.interrupt();
        self.ended()
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(libc::SIGINT);
    }

    #[allow(unsafe_code)]
    fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: the child has not been waited for, so the number is still its own.
        let sent = unsafe { libc::kill(pid, signal) };
        assert_eq!(sent, 0, "{}", io::Error::last_os_error());
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it can be asked")
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        while self.has_ended().is_none() {
            assert!(Instant::now() < until, "the daemon does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        let status = self.has_ended().expect("it has ended");
        let log = std::mem::replace(&mut self.log, std::thread::spawn(String::new));
        Ended { status, log: log.join().unwrap_or_default() }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Engine and wire in this process, for what only [`EngineOptions`] can ask for. Tells where it listens, then serves
/// until `stop`.
pub fn serve(options: EngineOptions, listening: impl FnOnce(SocketAddr), stop: impl Future<Output = ()>) {
    in_cell(async {
        let engine = Engine::start(options, &|_| {}).await.expect("it starts");
        let mut keys = Keys::default();
        let tenant = keys.tenant(engine.platforms()[0].clone());
        keys.grant(KEY, &tenant).expect("a key");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listening(listener.local_addr().expect("an address"));
        api::server::serve(listener, api::router(Arc::new(ApiState::new(keys))), stop).await;
        engine.stop().await;
    });
}

/// Such a one on a thread of its own. Stopped when dropped.
pub struct Inside {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Inside {
    pub fn start(options: EngineOptions) -> Inside {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let until = async {
                let _ = stopped.await;
            };
            serve(options, |address| tell.send(address).expect("somebody waits"), until);
        });
        let address = told.recv_timeout(PATIENCE).expect("it listens");
        Inside { address, stop: Some(stop), thread: Some(thread) }
    }

    pub fn client(&self) -> Client {
        Client::to(self.address)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the engine's thread panicked");
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// Its JSON, where it is some.
    pub fn json_or_null(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn is_replay(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// Its JSON, when it is a 200.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }
}

/// Reads one answer.
pub fn read_reply(stream: &mut impl BufRead) -> io::Result<Reply> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| bad(&line))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad(line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).ok_or_else(|| bad("no length"))?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Reply { status, headers, body })
}

/// A connection that is kept, and opened again when it was closed between two requests.
pub struct Client {
    pub address: SocketAddr,
    pub key: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn to(address: SocketAddr) -> Client {
        Client { address, key: KEY.to_owned(), stream: None }
    }

    /// Sends a request and waits for its answer. `body`: form parameters.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Reply> {
        let sent = self.exchange(method, path, headers, body);
        if sent.is_err() {
            self.stream = None;
        }
        sent
    }

    fn exchange(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Reply> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: florin\r\nAuthorization: Bearer {}\r\n", self.key);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "POST" {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                text.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
            }
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        if self.stream.is_none() {
            let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            self.stream = Some(BufReader::new(stream));
        }
        let stream = self.stream.as_mut().expect("it was just opened");
        stream.get_mut().write_all(text.as_bytes())?;
        read_reply(stream)
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, &[], "").unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    pub fn get_as(&mut self, account: Option<&str>, path: &str) -> Reply {
        let headers: Vec<(&str, &str)> = account.map(|account| ("Stripe-Account", account)).into_iter().collect();
        self.send("GET", path, &headers, "").unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    pub fn post(&mut self, path: &str, parameters: &[(&str, &str)]) -> Reply {
        self.send("POST", path, &[], &form(parameters)).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Every object of a list, newest first.
    pub fn list(&mut self, account: Option<&str>, path: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        let mark = if path.contains('?') { '&' } else { '?' };
        loop {
            let after = all.last().map(|last| format!("&starting_after={}", text(&last["id"]))).unwrap_or_default();
            let page = self.get_as(account, &format!("{path}{mark}limit=100{after}")).ok();
            all.extend(page["data"].as_array().expect("a list").iter().cloned());
            if page["has_more"] != Value::Bool(true) {
                return all;
            }
        }
    }
}

/// A JSON text.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Parameters as a form.
pub fn form(parameters: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters);
    form.finish()
}

/// A seller that is active at once, by the recipe of test values.
pub fn seller(client: &mut Client, country: &str, name: &str) -> String {
    let (bank, state, code) = match country {
        "US" => ("btok_us_verified", "NY", "10001"),
        "GB" => ("btok_gb", "", "SW1A 1AA"),
        other => panic!("no recipe for {other}"),
    };
    let mut parameters = vec![
        ("type", "custom"),
        ("country", country),
        ("business_type", "individual"),
        ("capabilities[card_payments][requested]", "true"),
        ("capabilities[transfers][requested]", "true"),
        ("individual[first_name]", name),
        ("individual[last_name]", "Seller"),
        ("individual[email]", "seller@example.com"),
        ("individual[phone]", "+12125550100"),
        ("individual[dob][day]", "1"),
        ("individual[dob][month]", "1"),
        ("individual[dob][year]", "1902"),
        ("individual[address][line1]", "address_full_match"),
        ("individual[address][city]", "Somewhere"),
        ("individual[address][postal_code]", code),
        ("individual[address][country]", country),
        ("individual[id_number]", "222222222"),
        ("business_profile[mcc]", "5734"),
        ("business_profile[url]", "https://seller.example.com"),
        ("tos_acceptance[date]", "1700000000"),
        ("tos_acceptance[ip]", "127.0.0.1"),
        ("external_account", bank),
        ("settings[payouts][schedule][interval]", "manual"),
    ];
    if country == "US" {
        parameters.push(("individual[address][state]", state));
        parameters.push(("individual[ssn_last_4]", "0000"));
    }
    let account = client.post("/v1/accounts", &parameters).ok();
    assert_eq!(account["charges_enabled"], Value::Bool(true), "{account:#}");
    text(&account["id"]).to_owned()
}

/// Every file below a folder, with its bytes.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}
