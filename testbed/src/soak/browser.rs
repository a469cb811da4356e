//! The web panel in a headless Chromium, spoken to through a pair of pipes (the DevTools protocol):
//! it logs in, and says what the page holds.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::process::{Launch, Process};
use crate::wait::wait_for;

/// What a slow machine needs to start a browser, and a page to be live.
const LIMIT: Duration = Duration::from_secs(60);

/// A browser with one panel. Dropping it ends it.
pub(super) struct Browser {
    process: Process,
    requests: File,
    answers: mpsc::Receiver<Value>,
    session: String,
    next_id: u64,
}

impl Browser {
    /// Where Chromium is, if it is installed; `CHROMIUM` in the environment comes first.
    #[must_use]
    pub(super) fn program() -> Option<PathBuf> {
        let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
        named.or_else(|| Some(PathBuf::from("/usr/bin/chromium"))).filter(|path| path.is_file())
    }

    /// Opens the panel at `address` and logs in; its files are in `dir`.
    ///
    /// # Errors
    /// If the browser does not start, or the panel shows no live device within a minute.
    pub(super) fn open(dir: &Path, (address, name, password): (&str, &str, &str)) -> Result<Self> {
        let program = Self::program().context("no Chromium is installed")?;
        std::fs::create_dir_all(dir).context("make the browser's folder")?;
        let (to, from) = (dir.join("requests"), dir.join("answers"));
        for pipe in [&to, &from] {
            let path = CString::new(pipe.as_os_str().as_bytes())?;
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).context("make a pipe")?;
        }
        // The browser expects the pipes as its descriptors 3 and 4.
        let process = Launch::machine("sh")?
            .args(["-c", "exec \"$0\" \"$@\" 3<\"$REQUESTS\" 4>\"$ANSWERS\""])
            .arg(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", dir.join("profile").display()))
            .env("REQUESTS", &to)
            .env("ANSWERS", &from)
            .named("chromium")
            .logs_in(dir)
            .spawn()?;
        let requests = OpenOptions::new().write(true).open(&to).context("open the browser's pipe")?;
        let answers = listen(File::open(&from).context("open the browser's pipe")?);
        let mut browser = Self { process, requests, answers, session: String::new(), next_id: 0 };
        browser.log_in(address, name, password)?;
        Ok(browser)
    }

    fn log_in(&mut self, address: &str, name: &str, password: &str) -> Result<()> {
        let page = self.ask("Target.createTarget", &json!({ "url": address }))?;
        let target = page.get("targetId").cloned().context("expected a page of the browser")?;
        let attached = self.ask("Target.attachToTarget", &json!({ "targetId": target, "flatten": true }))?;
        let session = attached.get("sessionId").and_then(Value::as_str).context("expected a session")?;
        session.clone_into(&mut self.session);
        // As somebody has it who asked that his browser keep the login.
        let login = format!(
            "location.host && (localStorage.setItem('obsbus-name', {name:?}), localStorage.setItem('obsbus-login', \
             JSON.stringify({{ broker: `ws://${{location.host}}/mqtt`, password: {password:?} }})), location.reload(), true)"
        );
        wait_for("the page to load", LIMIT, || self.evaluate(&login).ok().filter(|done| done == true))?;
        self.wait_until_live()
    }

    /// Waits until the panel shows that every device is live.
    ///
    /// # Errors
    /// If that takes longer than a minute; shows the page's text.
    pub(super) fn wait_until_live(&mut self) -> Result<()> {
        let live = "(all => all.length >= 2 && all.every(card => card.querySelector('[data-presence=live]')))\
                    ([...document.querySelectorAll('[data-device]')])";
        let waited = wait_for("a panel of live devices", LIMIT, || {
            self.evaluate(live).ok().filter(|done| done == true)
        });
        if let Err(error) = waited {
            let shown = self.evaluate("document.body.innerText").unwrap_or_default();
            bail!("{error}; the page shows {shown}");
        }
        Ok(())
    }

    /// What the page's objects occupy after the garbage was collected, KiB.
    ///
    /// # Errors
    /// If the browser does not tell.
    pub(super) fn page_kibibytes(&mut self) -> Result<u64> {
        self.ask("HeapProfiler.collectGarbage", &json!({}))?;
        let usage = self.ask("Runtime.getHeapUsage", &json!({}))?;
        let bytes = usage.get("usedSize").and_then(Value::as_f64).context("expected the size of the heap")?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a size in bytes, which is no fraction"
        )]
        Ok(bytes as u64 / 1024)
    }

    /// The browser's first process.
    #[must_use]
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn evaluate(&mut self, script: &str) -> Result<Value> {
        let answer = self.ask("Runtime.evaluate", &json!({ "expression": script, "returnByValue": true }))?;
        answer.pointer("/result/value").cloned().with_context(|| format!("{script}: {answer}"))
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.next_id += 1;
        let mut request = json!({ "id": self.next_id, "method": method, "params": parameters });
        if !self.session.is_empty()
            && let Some(keys) = request.as_object_mut()
        {
            keys.insert("sessionId".to_owned(), self.session.as_str().into());
        }
        self.requests.write_all(format!("{request}\0").as_bytes()).context("speak to the browser")?;
        loop {
            let answer = self.answers.recv_timeout(LIMIT).context("the browser does not answer")?;
            if answer.get("id").and_then(Value::as_u64) == Some(self.next_id) {
                ensure!(answer.get("error").is_none(), "{method}: {answer}");
                return answer.get("result").cloned().with_context(|| format!("{method}: {answer}"));
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends its children by itself; it is killed if it does not. A page cannot ask that.
        self.session.clear();
        if self.ask("Browser.close", &json!({})).is_ok() {
            drop(self.process.wait_exit(Duration::from_secs(5)));
        }
    }
}

fn listen(pipe: File) -> mpsc::Receiver<Value> {
    let (sender, answers) = mpsc::channel();
    // Ends with the browser.
    std::thread::spawn(move || {
        for message in BufReader::new(pipe).split(0).map_while(Result::ok) {
            if let Ok(message) = serde_json::from_slice(&message)
                && sender.send(message).is_err()
            {
                return;
            }
        }
    });
    answers
}
