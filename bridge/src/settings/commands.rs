//! The `[commands]` section: which verbs need a signature, and what proves one.

use std::collections::BTreeSet;
use std::path::Path;

use bus::clock::Utc;
use bus::device::Verb;
use bus::settings::Section;
use bus::signature::TrustFiles;

/// The word for every verb but a stop.
const ALL: &str = "all";
/// Users of the web panel have a password, and so no key.
const PANEL_USER: &str = "web-";
/// Programs of others that speak MQTT and sign nothing, under the names that the pages give them.
const WITHOUT_SIGNATURE: [(&str, &str); 2] = [("homeassistant", "Home Assistant"), ("nodered", "Node-RED")];

/// What proves who sent a command, beside the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandSettings {
    /// The verbs that need a signature.
    pub require_signature: BTreeSet<&'static str>,
    /// By what a signature is verified, if there are such verbs.
    pub trust: Option<TrustFiles>,
}

impl CommandSettings {
    /// Reads them; `ca_file` is the authority that signs the clients' certificates unless they name
    /// another one.
    pub(super) fn read(s: &mut Section, verbs: &'static [Verb], ca_file: &Path) -> Self {
        let right: Vec<_> = verbs.iter().filter(|verb| !verb.stop).map(|verb| verb.name).collect();
        let stops = |name: &String| verbs.iter().any(|verb| verb.stop && verb.name == name);
        let allowed = format!("a list of any of {}; or [\"{ALL}\"], for all of these", right.join(", "));
        let is_all = |names: &[String]| matches!(names, [only] if only == ALL);
        let is_right = |name: &String| stops(name) || right.iter().any(|right| right == name);
        let listed = s
            .texts("require_signature")
            .check(allowed.as_str(), |names| is_all(names) || names.iter().all(is_right))
            .default(Vec::new());
        if let Some(stop) = listed.iter().find(|name| stops(name)) {
            let message =
                format!("{stop} never needs a signature, because a stop must get through: leave it out");
            s.refuse("require_signature", s.origin("require_signature"), message, Some(allowed));
        }
        let is_listed = |name: &&'static str| is_all(&listed) || listed.iter().any(|listed| listed == name);
        let require_signature: BTreeSet<_> = right.iter().copied().filter(is_listed).collect();
        let revoked = s.path("crl_file");
        let revoked = if listed.is_empty() { revoked.optional() } else { Some(revoked.required()) };
        let authority = s.path("client_ca_file").default(ca_file.to_owned());
        let trust = revoked
            .filter(|_| !require_signature.is_empty())
            .map(|revoked| TrustFiles { authority, revoked });
        Self { require_signature, trust }
    }

    /// Notes what is wrong with the files, and who of `clients` cannot sign.
    pub(super) fn check(&self, s: &mut Section, clients: &[String], homeassistant: Option<&str>, now: Utc) {
        if let Some(files) = self.trust.as_ref().filter(|_| s.is_good("commands.crl_file")) {
            let problem = match files.read() {
                Ok(trust) => trust.problem(now),
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                let message = format!("{problem}; without it, the bridge refuses {}", self.words());
                s.refuse("commands.crl_file", s.origin("commands.crl_file"), message, None);
            }
        }
        if self.require_signature.is_empty() {
            return;
        }
        for client in clients {
            let named =
                WITHOUT_SIGNATURE.iter().find(|(name, _)| name == client).map(|(_, program)| *program);
            let why = if client.starts_with(PANEL_USER) {
                "a user of the web panel, who has a password and no key"
            } else if homeassistant == Some(client) {
                "Home Assistant, which signs nothing"
            } else if let Some(program) = named {
                &format!("the usual name of {program}, which signs nothing")
            } else {
                continue;
            };
            let message =
                format!("\"{client}\" cannot sign, and these are refused: {} ({why})", self.words());
            s.warn("control_clients", message);
        }
    }

    fn words(&self) -> String {
        self.require_signature.iter().copied().collect::<Vec<_>>().join(", ")
    }
}
