//! The whole way: gateway → fault proxy → store. Gateway and store are processes of the real program.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fault_proxy::Proxy;
use crate::process::Process;
use crate::sdk;
use crate::stored::Stored;

pub const PROJECT: &str = "test-project-1";
pub const KEY_ID: &str = "dev-access-key-id";
pub const SECRET: &str = "dev-access-key-secret";

/// The store, as `sluice dev` would make it.
const STORE: &str = include_str!("../../config/dev.toml");
const GATEWAY: &str = r#"
backend = "sls"

[[listeners]]
name = "internet"
address = "127.0.0.1:0"

[[listeners.endpoints]]
name = "localhost"
region = "dev"
certificate = "server.pem"
key = "server.key"

[log]
format = "json"

[[sls.endpoints]]
region = "dev"
url = "http://local.log.example.com"
connect = "{{proxy}}"
"#;

/// Stopped when dropped, its folder removed.
pub struct Stack {
    gateway: Process,
    pub proxy: Proxy,
    _store: Process,
    /// `host:port` for Kafka clients.
    pub bootstrap: String,
    api: String,
    folder: TempDir,
}

impl Stack {
    /// With these Logstores; `settings`: further lines of the gateway's configuration.
    pub fn start(logstores: &[&str], settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let write = |name: &str, text: String| {
            fs::write(folder.path().join(name), text).expect("the folder can be written");
        };
        write("sluice.toml", store_config(logstores));
        let arguments = ["dev", "--dir", ".", "--port", "0"];
        let mut store = Process::start(folder.path(), "store", &arguments);
        let api = store.address("the store's HTTP API listens");
        let proxy = Proxy::start(api);
        let config = GATEWAY.replace("{{proxy}}", &proxy.address().to_string());
        write("gateway.toml", config + settings);
        let arguments = ["serve", "--config", "gateway.toml"];
        let mut gateway = Process::start(folder.path(), "gateway", &arguments);
        let listener = gateway.address("listening");
        Self {
            gateway,
            proxy,
            _store: store,
            bootstrap: format!("localhost:{}", listener.port()),
            api: format!("http://{api}"),
            folder,
        }
    }

    /// The authority that clients trust.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// All that is stored, as the Log Service's own SDK reads it past the gateway.
    pub fn stored(&self) -> Stored {
        Stored(sdk::read(&json!({"url": self.api})))
    }

    /// The gateway's events with this message.
    pub fn events(&self, message: &str) -> Vec<Value> {
        let mut events = self.gateway.events();
        events.retain(|event| event["message"] == message);
        events
    }
}

fn store_config(logstores: &[&str]) -> String {
    let mut config = STORE.replace("{{secret}}", SECRET);
    for name in logstores {
        let section = format!("\n[[embedded.projects.logstores]]\nname = \"{name}\"\nshards = 2\n");
        config.push_str(&section);
    }
    config + "\n[log]\nformat = \"json\"\n"
}
