//! What `migrate` brings with it: the migrations, and the topics that our events go to.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Deserialize;

const AREAS: &str = "../../infra/areas";

/// An area's template, as far as it speaks of topics.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Template {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    #[serde(default)]
    moneta: Moneta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Moneta {
    #[serde(default)]
    kafka_topics: Vec<Topic>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Topic {
    name: String,
    partitions: i32,
    /// Somebody else publishes to it, and creates it.
    #[serde(default)]
    incoming: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../../infra/migrations");
    println!("cargo:rerun-if-changed={AREAS}");
    let mut outgoing = Vec::new();
    for path in templates()? {
        let template: Template = serde_yaml_ng::from_str(&fs::read_to_string(path)?)?;
        let topics = template.metadata.moneta.kafka_topics.into_iter();
        outgoing.extend(topics.filter(|topic| !topic.incoming).map(|topic| {
            let Topic { name, partitions, .. } = topic;
            format!("OutgoingTopic {{ name: {name:?}, partitions: {partitions} }}")
        }));
    }
    let text = format!("&[{}]", outgoing.join(", "));
    fs::write(Path::new(&env::var("OUT_DIR")?).join("topics.rs"), text)?;
    Ok(())
}

/// The templates of the areas, in the order of their names.
fn templates() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(AREAS)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}
