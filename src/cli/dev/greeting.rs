//! What `sluice dev` prints once clients may come: the five facts that every agent needs, and each agent's snippet.

use std::fmt::Write;
use std::net::IpAddr;

use super::super::authority::{Files, Made};
use super::super::serve::{Bound, Reachable};
use super::super::snippets::{AGENTS, Target};
use super::Prepared;
use crate::backend::embedded::access::ProjectConfig;
use crate::config::Backend;
use crate::config::units::show_size;

/// The topic of the snippets where a project has no Logstore yet.
const TOPIC: &str = "test-logstore-1";

impl Prepared {
    /// What a user needs to send the first log.
    pub fn greeting(&self, reachable: &Reachable) -> String {
        let Some(target) = self.target(&reachable.listeners) else {
            return "Sluice runs, but no project has a key that may write.\n".into();
        };
        let mut text = String::from("Sluice runs; Ctrl-C stops it.\n\n");
        self.list(&mut text, &target, reachable);
        for note in self.notes() {
            let _ = write!(text, "\n{note}\n");
        }
        for agent in AGENTS {
            let _ = write!(text, "\n── {} ──\n{}", agent.name, agent.render(&target));
        }
        text
    }

    fn list(&self, text: &mut String, target: &Target, reachable: &Reachable) {
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<11}{value}");
        };
        line("bootstrap", &target.bootstrap);
        for other in reachable.listeners.iter().skip(1) {
            let name = format!("({})", other.name);
            line(&name, &self.dialled(other));
        }
        line("user", &target.project);
        line("password", &target.password);
        line("CA", &target.ca);
        line(
            "topic",
            &format!(
                "{} (with the suffix .json, JSON becomes fields)",
                target.topic
            ),
        );
        if let Some(api) = &reachable.api {
            line("API", &format!("{api} (the Log Service's, for its SDKs)"));
        }
        let Backend::Embedded(store) = &self.config.backend else {
            return;
        };
        let days = store.retention_age.as_secs() / 86_400;
        line(
            "kept",
            &format!(
                "{days} days, {} a Logstore",
                show_size(store.retention_bytes_max)
            ),
        );
        line("settings", &self.config.file.display().to_string());
        line(
            "read back",
            &format!(
                "sluice logs --dir {} -f {}",
                self.dir.display(),
                target.topic
            ),
        );
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.made == Made::Authority {
            notes.push("The CA is new: clients that had an earlier one need it.".into());
        }
        if self.secret_replaced {
            notes.push(
                "The listeners face a network, so the published secret was replaced by a random one, for good.".into(),
            );
        }
        let anywhere = self
            .config
            .listeners
            .iter()
            .any(|listener| listener.address.ip().is_unspecified());
        if anywhere && self.hosts.is_empty() {
            notes.push(
                "Clients dial localhost, as through a mapped port of a container. For clients elsewhere start with --host NAME."
                    .into(),
            );
        }
        notes
    }

    /// The first project with a key that may write.
    fn target(&self, bound: &[Bound]) -> Option<Target> {
        let Backend::Embedded(store) = &self.config.backend else {
            return None;
        };
        let writable = |project: &&ProjectConfig| project.keys.iter().any(|key| key.rights.write);
        let project = store.projects.iter().find(writable)?;
        let key = project.keys.iter().find(|key| key.rights.write)?;
        let topic = project
            .logstores
            .first()
            .map_or(TOPIC, |logstore| logstore.name.as_str());
        Some(Target {
            bootstrap: self.dialled(bound.first()?),
            project: project.name.to_string(),
            password: format!("{}#{}", key.id, key.secret.expose()),
            ca: Files::of(&self.dir).ca.display().to_string(),
            topic: topic.to_owned(),
        })
    }

    fn dialled(&self, bound: &Bound) -> String {
        let host = self.hosts.first().map_or("localhost", String::as_str);
        let port = bound.address.port();
        match host.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
            _ => format!("{host}:{port}"),
        }
    }
}
