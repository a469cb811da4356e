//! A further instrument of a running site: its own model, port and bridge on the same broker, in
//! the same folder. The site's observer receives its topics.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Bridge, Instrument, SiteOf, topic_of, usual_settings, write_settings};
use crate::client::Message;
use crate::port::Port;

/// See the module. Dropping it kills the bridge; [`Bridge::stop`] is orderly.
pub struct ExtraInstrument<D: Instrument> {
    /// The bridge's process.
    pub bridge: Bridge,
    /// The model and its cable.
    pub port: Port<D>,
    log: PathBuf,
}

impl<D: Instrument> ExtraInstrument<D> {
    /// Serves this model and starts its bridge, with these settings in addition to the usual ones
    /// (`key`, or `section.key`, and a TOML value), without waiting.
    ///
    /// # Errors
    /// If something cannot be started.
    pub fn launch<E: Instrument>(
        site: &SiteOf<E>,
        model: D::Config,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        site.observer.subscribe(&topic_of(D::KIND, "+"))?;
        let dir = site.dir();
        let port = Port::serve(D::build(model), dir.join(format!("tty{}", D::KIND.to_uppercase())))
            .context("serve the model")?;
        let mut all = usual_settings::<D>();
        for (key, value) in settings {
            let (section, key) = key.rsplit_once('.').unwrap_or(("", *key));
            all.entry(section.to_owned()).or_default().insert(key.to_owned(), (*value).to_owned());
        }
        let state = dir.join(format!("state-{}", D::KIND));
        write_settings::<D>(dir, &state, port.link(), &site.broker, &all)?;
        let mut bridge = Bridge::of::<D>(dir)?;
        bridge.launch()?;
        Ok(Self { bridge, port, log: dir.join(format!("{}.err", D::BRIDGE)) })
    }

    /// The last message on a topic of the device; `None` before the first.
    #[must_use]
    pub fn last<E: Instrument>(&self, site: &SiteOf<E>, what: &str) -> Option<Message> {
        site.observer.last(0, &topic_of(D::KIND, what))
    }

    /// The log file of its bridge.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }
}
