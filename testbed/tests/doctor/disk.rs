//! The disk of the bridge's machine: real file systems, which only the bridge sees.

use crate::{Row, Stage, try_rows};

#[test]
fn a_disk_that_the_bridge_cannot_write_is_found() {
    try_rows(&mut Stage::start(), &ROWS);
}

impl Stage {
    /// Starts the bridge with another file system, made by this script, in place of `$0`, its state
    /// directory.
    fn on_disk(&mut self, script: &str) {
        self.site.bridge.stop().unwrap();
        let state = self.site.dir().join("state");
        let own = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
        let script = format!("{script} && exec \"$@\"");
        let mut launch = testbed::process::Launch::workspace("chiller-bridge").unwrap();
        launch = launch.arg(self.site.dir().join("chiller-bridge.toml")).logs_in(self.site.dir());
        let launch = launch.under("unshare", [own, "sh", "-c", &script, state.to_str().unwrap()]).unwrap();
        self.held.push(Box::new(launch.spawn().unwrap()));
    }

    fn own_disk(&mut self) {
        self.held.clear();
        self.site.start_bridge().unwrap();
        self.well();
    }
}

pub(crate) const ROWS: [Row<Stage>; 2] = [
    Row {
        name: "state directory read-only",
        break_it: |stage| {
            stage.on_disk("mount -t tmpfs -o ro none \"$0\"");
            stage.attention("journal_failed", "Read-only file system");
            stage.doctor("alice")
        },
        says: &[
            "disk: journal_failed: ",
            "Read-only file system",
            "To do: free the disk, or make the state directory writable",
        ],
        code: 1,
        mend: Stage::own_disk,
    },
    Row {
        name: "disk full",
        break_it: |stage| {
            let fill = "mount -t tmpfs -o size=4k none \"$0\" && head -c 4096 /dev/zero >\"$0/ballast\"";
            stage.on_disk(fill);
            stage.attention("journal_failed", "No space left on device");
            stage.doctor("alice")
        },
        says: &["disk: journal_failed: ", "No space left on device", "To do: free the disk"],
        code: 1,
        mend: Stage::own_disk,
    },
];
