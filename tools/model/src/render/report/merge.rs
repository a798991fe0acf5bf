// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Several results files as one: the runs of all, and in `sources` what each of them was.

use serde_json::{Map, Value, json};

use super::Source;
use crate::results::Results;

/// The files as one results file, which has every field that they have.
///
/// # Errors
///
/// None that these types can cause.
pub fn json(sources: &[Source]) -> Result<String, serde_json::Error> {
    let merged = match sources {
        [one] => one.raw.clone(),
        many => {
            let all = many.iter().flat_map(|source| runs(&source.raw));
            let list = many.iter().map(|source| {
                let mut rest = source.raw.as_object().cloned().unwrap_or_default();
                rest.remove("runs");
                rest.remove("schema");
                rest.insert("name".into(), json!(source.name));
                rest.insert("runs".into(), json!(runs(&source.raw).len()));
                Value::Object(rest)
            });
            let mut merged = Map::new();
            let first = many.first().and_then(|source| source.raw.get("manifest"));
            merged.insert("schema".into(), json!(crate::results::SCHEMA));
            merged.insert("manifest".into(), first.cloned().unwrap_or_default());
            merged.insert("sources".into(), list.collect());
            merged.insert("runs".into(), all.collect());
            Value::Object(merged)
        }
    };
    serde_json::to_string_pretty(&merged).map(|text| text + "\n")
}

fn runs(raw: &Value) -> Vec<Value> {
    raw.get("runs").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// What a merged file was made of; `None` for one that was not merged, or whose list of sources
/// does not fit its runs.
pub fn split(merged: &Source) -> Option<Vec<Source>> {
    let list = merged.raw.get("sources")?.as_array()?;
    let mut rest = runs(&merged.raw);
    let mut sources = Vec::new();
    for entry in list {
        let mut raw = entry.as_object()?.clone();
        let count = usize::try_from(raw.get("runs")?.as_u64()?).ok()?;
        if count > rest.len() {
            return None;
        }
        let later = rest.split_off(count);
        let name = raw.remove("name")?.as_str()?.to_owned();
        raw.insert("runs".into(), Value::Array(std::mem::replace(&mut rest, later)));
        raw.insert("schema".into(), json!(crate::results::SCHEMA));
        let raw = Value::Object(raw);
        let results: Results = serde_json::from_value(raw.clone()).ok()?;
        sources.push(Source { name, file: merged.name.clone(), results, raw });
    }
    (rest.is_empty() && !sources.is_empty()).then_some(sources)
}
