//! Ready configurations for agents: one template each in config/agents, filled in here and in no other place.

/// What an agent needs to know.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port`.
    pub bootstrap: String,
    pub project: String,
    /// `{access-key-id}#{access-key-secret}`.
    pub password: String,
    /// Path of the certificate authority.
    pub ca: String,
    pub topic: String,
}

/// An agent and its template.
pub struct Agent {
    pub name: &'static str,
    template: &'static str,
}

pub const AGENTS: [Agent; 9] = [
    Agent {
        name: "kcat",
        template: include_str!("../../config/agents/kcat.sh"),
    },
    Agent {
        name: "Filebeat",
        template: include_str!("../../config/agents/filebeat.yml"),
    },
    Agent {
        name: "Telegraf",
        template: include_str!("../../config/agents/telegraf.conf"),
    },
    Agent {
        name: "Logstash",
        template: include_str!("../../config/agents/logstash.conf"),
    },
    Agent {
        name: "Fluentd",
        template: include_str!("../../config/agents/fluentd.conf"),
    },
    Agent {
        name: "collectd",
        template: include_str!("../../config/agents/collectd.conf"),
    },
    Agent {
        name: "rsyslog",
        template: include_str!("../../config/agents/rsyslog.conf"),
    },
    Agent {
        name: "syslog-ng",
        template: include_str!("../../config/agents/syslog-ng.conf"),
    },
    Agent {
        name: "OpenTelemetry Collector",
        template: include_str!("../../config/agents/otelcol.yaml"),
    },
];

impl Agent {
    pub fn render(&self, target: &Target) -> String {
        self.template
            .replace("{{bootstrap}}", &target.bootstrap)
            .replace("{{project}}", &target.project)
            .replace("{{password}}", &target.password)
            .replace("{{ca}}", &target.ca)
            .replace("{{topic}}", &target.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_uses_every_placeholder_and_no_other() {
        let marks = Target {
            bootstrap: "«b»".into(),
            project: "«p»".into(),
            password: "«w»".into(),
            ca: "«c»".into(),
            topic: "«t»".into(),
        };
        for agent in AGENTS {
            let text = agent.render(&marks);
            for mark in ["«b»", "«p»", "«w»", "«c»", "«t»"] {
                assert!(text.contains(mark), "{} lacks {mark}", agent.name);
            }
            assert!(!text.contains("{{"), "{}", agent.name);
        }
    }

    #[test]
    fn the_readme_shows_each_snippet_as_dev_prints_it() {
        let readme = include_str!("../../README.md");
        let target = Target {
            bootstrap: "localhost:10012".into(),
            project: "test-project-1".into(),
            password: "dev-access-key-id#dev-access-key-secret".into(),
            ca: "sluice-dev/ca.pem".into(),
            topic: "test-logstore-1".into(),
        };
        for agent in AGENTS {
            assert!(readme.contains(&agent.render(&target)), "{}", agent.name);
        }
    }
}
