//! The store's HTTP API as the configuration wants it.

use std::collections::HashMap;
use std::sync::Arc;

use super::not_bound;
use crate::api::limits::Timeouts;
use crate::api::{self, Api};
use crate::backend::embedded::Embedded;
use crate::cli::Failure;
use crate::config::{Backend, Config};
use crate::server::tls::{Certificates, server_config};

/// `None`: it is off.
pub async fn bind(config: &Config, store: &Arc<Embedded>) -> Result<Option<Api>, Failure> {
    let (Some(settings), Backend::Embedded(kept)) = (&config.api, &config.backend) else {
        return Ok(None);
    };
    let tls = settings.certified.as_ref().map(|certified| {
        server_config(Certificates {
            by_name: HashMap::new(),
            default: Arc::clone(certified),
            strict: false,
        })
    });
    let tls = tls.transpose().map_err(|error| {
        Failure::Runtime(format!("cannot set up TLS for [embedded.api]: {error}"))
    })?;
    let api = api::Config {
        address: settings.address,
        tls,
        region: settings.region.as_str().into(),
        check_times: settings.check_times,
        data_dir: kept.data_dir.clone(),
        retention_age: kept.retention_age,
        timeouts: Timeouts::default(),
        drain_grace: config.limits.drain_grace,
    };
    let bound = Api::bind(api, Arc::clone(store)).await;
    bound.map(Some).map_err(not_bound)
}

/// Where clients reach it.
pub fn url(config: &Config, api: &Api) -> String {
    let certified = config.api.as_ref().and_then(|api| api.certified.as_ref());
    let scheme = if certified.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", api.address())
}
