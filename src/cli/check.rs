//! `sluice check`: what is wrong with a configuration and its certificates, where, and what to do. It changes nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use time::OffsetDateTime;

use super::{CheckArguments, Failure};
use crate::backend::sls::Projects;
use crate::config::certificate::{self, Facts};
use crate::config::{self, Backend, Config, ConfigError, Endpoint, Listener, Problem, Problems};
use crate::tenant::ProjectName;

pub fn run(arguments: &CheckArguments) -> Result<(), Failure> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let report = examine(&arguments.config, now)?;
    for line in &report {
        println!("{line}");
    }
    Ok(())
}

/// A certificate that expires sooner is worth a warning.
const DAYS_LEFT_MIN: i64 = 30;
/// Seconds.
const DAY: i64 = 86_400;

/// Warnings and a summary, one line each; an error if anything is wrong.
fn examine(path: &Path, now: i64) -> Result<Vec<String>, ConfigError> {
    let text = config::read(path)?;
    let mut problems = Problems::new(path, &text);
    let parsed = config::parse(path, &text, &mut problems);
    let mut summary = Vec::new();
    if let Some(config) = &parsed {
        for listener in &config.listeners {
            check_ambiguous(listener, &mut problems);
            for endpoint in &listener.endpoints {
                let facts = check_endpoint(endpoint, &projects(config), now, &mut problems);
                summary.extend(facts.map(|facts| summarize(listener, endpoint, &facts, now)));
            }
        }
    }
    let failed = problems.has_errors();
    let found = problems.into_list();
    if failed {
        return Err(ConfigError(found));
    }
    let mut lines: Vec<String> = found.iter().map(Problem::to_string).collect();
    lines.extend(summary);
    lines.push(format!("{}: good", path.display()));
    Ok(lines)
}

fn check_endpoint(
    endpoint: &Endpoint,
    projects: &[&str],
    now: i64,
    problems: &mut Problems<'_>,
) -> Option<Facts> {
    check_key_file(endpoint, problems);
    let facts = certificate::facts(&endpoint.certified.cert)?;
    let key = format!("{}.certificate", endpoint.place);
    check_chain(&facts, &key, problems);
    check_names(&facts, &endpoint.name, &key, projects, problems);
    check_dates(&facts, &key, now, problems);
    Some(facts)
}

fn summarize(listener: &Listener, endpoint: &Endpoint, facts: &Facts, now: i64) -> String {
    format!(
        "{}: {} ({}): certificate good for {} more days",
        listener.name,
        endpoint.name,
        endpoint.region,
        facts.days_left(now),
    )
}

/// Names of the projects that clients may dial; where all may, one that stands for any.
fn projects(config: &Config) -> Vec<&str> {
    match &config.backend {
        Backend::Embedded(store) => {
            let projects = store.projects.iter();
            projects.map(|project| project.name.as_str()).collect()
        }
        Backend::Sls(sls) => match &sls.projects {
            Projects::Only(projects) => projects.iter().map(ProjectName::as_str).collect(),
            Projects::All => vec!["{project}"],
        },
    }
}

/// Where one endpoint is `{project}.{another endpoint}`, a client of that project would land in the wrong region.
fn check_ambiguous(listener: &Listener, problems: &mut Problems<'_>) {
    for longer in &listener.endpoints {
        for shorter in &listener.endpoints {
            let label = longer
                .name
                .strip_suffix(shorter.name.as_str())
                .and_then(|rest| rest.strip_suffix('.'));
            if label.is_some_and(|label| ProjectName::parse(label).is_ok()) {
                problems.error(
                    &format!("{}.name", longer.place),
                    format_args!(
                        "`{}` also reads as a project of the endpoint `{}`",
                        longer.name, shorter.name
                    ),
                    "rename one, or move it to another listener",
                );
            }
        }
    }
}

fn check_key_file(endpoint: &Endpoint, problems: &mut Problems<'_>) {
    let Ok(metadata) = std::fs::metadata(&endpoint.key) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    // Group access is how distributions hand keys to a service.
    if mode & 0o007 != 0 {
        problems.warn(
            &format!("{}.key", endpoint.place),
            format_args!(
                "{} is open to every user (mode {mode:o})",
                endpoint.key.display()
            ),
            "take the others' rights away with chmod o-rwx",
        );
    }
}

fn check_chain(facts: &Facts, key: &str, problems: &mut Problems<'_>) {
    if let Some(number) = facts.broken_at {
        problems.error(
            key,
            format_args!("certificate {number} of the file was not issued by the one after it"),
            "order it: the server's certificate, then each issuer after what it issued, the root left out",
        );
    }
}

fn check_names(
    facts: &Facts,
    name: &str,
    key: &str,
    projects: &[&str],
    problems: &mut Problems<'_>,
) {
    let alone = facts.covers(name);
    let missing: Vec<String> = projects
        .iter()
        .map(|project| format!("{project}.{name}"))
        .filter(|host| !facts.covers(host))
        .collect();
    match (alone, missing.is_empty()) {
        (true, true) => {}
        (false, false) => problems.error(
            key,
            format_args!("it names neither {name} nor {}", missing.join(", ")),
            format_args!(
                "get one for {name} and *.{name}: clients that check names refuse this one"
            ),
        ),
        (true, false) => problems.warn(
            key,
            format_args!("it does not name {}", missing.join(", ")),
            format_args!("get one for *.{name} too, or have clients dial {name}"),
        ),
        (false, true) => problems.warn(
            key,
            format_args!("it does not name {name} itself"),
            format_args!("get one for {name} too, or have clients dial {{project}}.{name}"),
        ),
    }
}

fn check_dates(facts: &Facts, key: &str, now: i64, problems: &mut Problems<'_>) {
    let days = facts.days_left(now);
    if now > facts.not_after {
        problems.error(
            key,
            format_args!("it expired {} days ago", (now - facts.not_after) / DAY),
            "renew it",
        );
    } else if now < facts.not_before {
        problems.error(
            key,
            "it is not valid yet",
            "check this machine's clock, or wait",
        );
    } else if days < DAYS_LEFT_MIN {
        problems.warn(key, format_args!("it expires in {days} days"), "renew it");
    }
}

#[cfg(test)]
mod tests;
