//! Nodes of rmqttd on loopback, under the files of `deploy/cluster` and the access rules that `obsbus`
//! writes for it. Only paths, ports and the node's number differ from production.

#![expect(clippy::indexing_slicing, reason = "a node that does not exist is a mistake of the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed::broker::{HOST, free_port, substitute};
use testbed::certs::ClientFiles;
use testbed::client::{Connect, Post, TestClient};
use testbed::process::{Launch, Process};
use testbed::wait::wait_for;

use crate::on;

const LIMIT: Duration = Duration::from_secs(60);
const CONF: &str = include_str!("../../../../deploy/cluster/rmqtt.toml");
const RAFT: &str = include_str!("../../../../deploy/cluster/plugins/rmqtt-cluster-raft.toml");
const RETAINER: &str = include_str!("../../../../deploy/cluster/plugins/rmqtt-retainer.toml");
/// May publish one topic that every client may read and no bridge subscribes to.
const PROBE: (&str, &str) = ("pyro-gateway", "clasp/pyro-gateway/health");

struct Node {
    port: u16,
    folder: PathBuf,
    process: Option<Process>,
}

/// Dropping it kills the nodes.
pub(super) struct Cluster {
    nodes: Vec<Node>,
    certs: PathBuf,
    probes: usize,
    _folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts `count` nodes with the certificates in `certs`, and waits until each delivers what is
    /// published at each.
    pub(super) fn start(count: usize, certs: &Path, names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules = Launch::workspace("obsbus").unwrap().args(["acl", "--site", "clasp", "--rmqtt"]);
        let rules = rules.args(names).run(LIMIT).unwrap();
        assert_eq!(rules.code, 0, "{}", rules.stderr);
        let ports: Vec<[u16; 3]> = (0..count).map(|_| [(); 3].map(|()| free_port().unwrap())).collect();
        let addresses = |which: fn(&[u16; 3]) -> u16| {
            let each = ports
                .iter()
                .enumerate()
                .map(|(index, ports)| format!("{}@{HOST}:{}", index + 1, which(ports)));
            format!("= {:?}", each.collect::<Vec<_>>())
        };
        let raft = substitute(RAFT, "node_grpc_addrs", &addresses(|ports| ports[1])).unwrap();
        let raft = substitute(&raft, "raft_peer_addrs", &addresses(|ports| ports[2])).unwrap();
        let mut nodes = Vec::new();
        for (index, [port, between, _]) in ports.into_iter().enumerate() {
            let folder = folder.path().join(format!("node{}", index + 1));
            let plugins = folder.join("plugins");
            fs::create_dir_all(&plugins).unwrap();
            for (file, text) in [
                ("rmqtt-acl", &rules.stdout),
                ("rmqtt-cluster-raft", &raft),
                ("rmqtt-retainer", &RETAINER.to_owned()),
            ] {
                fs::write(plugins.join(format!("{file}.toml")), text).unwrap();
            }
            fs::write(folder.join("rmqtt.toml"), conf(index + 1, count, [port, between], &plugins, certs))
                .unwrap();
            nodes.push(Node { port, folder, process: None });
        }
        let mut cluster = Self { nodes, certs: certs.to_owned(), probes: 0, _folder: folder };
        for node in 0..count {
            cluster.launch(node);
        }
        cluster.wait_ready();
        cluster
    }

    fn launch(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let launch = Launch::machine("rmqttd").expect("run this by: make test-cluster");
        let launch = launch.arg("-f").arg(node.folder.join("rmqtt.toml")).logs_in(&node.folder);
        node.process = Some(launch.spawn().unwrap());
    }

    pub(super) fn port(&self, node: usize) -> u16 {
        self.nodes[node].port
    }

    /// The addresses of all nodes, as `hosts` has them in an environment variable.
    pub(super) fn hosts(&self) -> String {
        self.nodes.iter().map(|node| format!("{HOST}:{}", node.port)).collect::<Vec<_>>().join(",")
    }

    pub(super) fn kill9(&mut self, node: usize) {
        self.nodes[node].process.take().unwrap().kill9().unwrap();
    }

    /// Starts a node that was killed; it need not be ready when this ends.
    pub(super) fn restart(&mut self, node: usize) {
        self.launch(node);
    }

    /// The files of an identity that has a certificate already, or gets one from the site.
    fn files(&self, identity: &str) -> ClientFiles {
        let clients = self.certs.join("clients");
        ClientFiles {
            identity: identity.to_owned(),
            ca: self.certs.join("ca.crt"),
            cert: clients.join(format!("{identity}.crt")),
            key: clients.join(format!("{identity}.key")),
        }
    }

    pub(super) fn connect(&self, node: usize, identity: &str) -> TestClient {
        Connect::with(self.port(node), self.files(identity)).connect().unwrap()
    }

    fn is_running(&mut self, node: usize) -> bool {
        self.nodes[node].process.as_mut().is_some_and(Process::is_running)
    }

    /// Waits until what is published at each node that runs arrives at each of them: a node listens
    /// before it belongs to the others.
    pub(super) fn wait_ready(&mut self) {
        let running: Vec<usize> = (0..self.nodes.len()).filter(|node| self.is_running(*node)).collect();
        let (identity, topic) = PROBE;
        let files = self.files(identity);
        wait_for("every node to deliver what is published at every other", LIMIT, || {
            let clients: Option<Vec<TestClient>> = (running.iter())
                .map(|node| Connect::with(self.port(*node), files.clone()).connect().ok())
                .collect();
            let clients = clients?;
            clients.iter().all(|client| client.subscribe(topic).is_ok()).then_some(())?;
            for client in &clients {
                self.probes += 1;
                let text = format!("probe {}", self.probes);
                client.publish(Post::to(topic, text.clone())).ok()?;
                let arrives =
                    |message: &testbed::client::Message| on(topic)(message) && message.text() == text;
                for reader in &clients {
                    reader.wait_for(arrives, Duration::from_secs(2)).ok()?;
                }
            }
            Some(())
        })
        .unwrap_or_else(|error| panic!("{error}; {}", self.logs()));
    }

    pub(super) fn logs(&self) -> String {
        let logs = self.nodes.iter().map(|node| {
            let read =
                |end: &str| fs::read_to_string(node.folder.join(format!("rmqttd.{end}"))).unwrap_or_default();
            format!("--- {}\n{}{}", node.folder.display(), read("out"), read("err"))
        });
        logs.collect()
    }
}

fn conf(number: usize, count: usize, ports: [u16; 2], plugins: &Path, certs: &Path) -> String {
    let mut text = CONF.to_owned();
    // One node alone has nobody to agree with.
    let started =
        if count == 1 { vec!["rmqtt-retainer"] } else { vec!["rmqtt-retainer", "rmqtt-cluster-raft"] };
    let [port, between] = ports;
    for (key, value) in [
        ("id", number.to_string()),
        ("server_addr", format!("\"{HOST}:{between}\"")),
        ("addr", format!("\"{HOST}:{port}\"")),
        ("dir", format!("{plugins:?}")),
        ("default_startups", format!("{started:?}")),
        ("cert", format!("{:?}", certs.join("server.crt"))),
        ("key", format!("{:?}", certs.join("server.key"))),
        ("client_ca_certs", format!("{:?}", certs.join("ca.crt"))),
    ] {
        text = substitute(&text, key, &format!("= {value}")).unwrap();
    }
    text
}
