// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What is written as results is what `docs/results.schema.json` says, and old files keep loading.

use std::path::{Path, PathBuf};

use bringup_model::copied::{self, Said};
use bringup_model::render::report::{Mode, Report, Source, html, markdown, merge};
use bringup_model::results::Results;
use serde_json::{Value, json};

/// A results file of the first form of these tools, as `demo` wrote it.
const FIRST: &str = include_str!("fixtures/demo-first-form.json");
const SCHEMA: &str = include_str!("../../../docs/results.schema.json");

/// What is wrong with `document`, one line each.
fn errors(document: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .expect("the schema is one");
    let error =
        |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    validator.iter_errors(document).map(error).collect()
}

fn valid(what: &str, text: &str) {
    let document = serde_json::from_str(text).expect("JSON");
    assert_eq!(errors(&document), [""; 0], "{what}");
}

#[test]
fn the_schema_is_itself_valid() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
}

#[test]
fn the_first_form_keeps_loading() {
    valid("as it was written", FIRST);
    let results = Results::from_json(FIRST).unwrap();
    assert_eq!(results.runs.len(), 3);
    assert!(
        results.runs.iter().all(|run| run.ok && run.bringup_ns.is_some() && run.per_cpu.len() == 4)
    );
    valid("as it is written now", &results.to_json().unwrap());
    let sources = Source::read("first", FIRST).unwrap();
    let report = Report::new(&sources, Mode::Compare, &[]);
    assert!(html::page(&report).unwrap().contains("Timeline of p1"));
    assert!(markdown::markdown(&report).contains("| total by the timeline"));
}

#[test]
fn what_is_collected_is_as_the_schema_says() {
    let log = "[    0.061002] smp: Bringing up secondary CPUs ...\n\
        [    0.064400] CPU1: Booted secondary processor 0x0000000001 [0x410fd083]\n\
        [    0.080963] smp: Brought up 1 node, 2 CPUs\n";
    let mut run = copied::read(None, Some(log.as_bytes()), Said::default()).unwrap().run;
    let mut results = Results::from_json(FIRST).unwrap();
    run.faults = vec!["cpu=3,kind=late,arg=9".into(), "cpu=1,kind=never".into()];
    results.runs = vec![run];
    results.manifest.meta.insert("board".into(), "x".into());
    let text = results.to_json().unwrap();
    valid("coarse", &text);
    assert_eq!(Results::from_json(&text).unwrap(), results);
}

#[test]
fn merged_files_are_one_of_the_schema_and_can_be_taken_apart() {
    let one = Source::read("one", FIRST).unwrap();
    let both =
        [one.clone(), Source::read("two", &FIRST.replace("\"p1\"", "\"p2\"")).unwrap()].concat();
    let merged = merge::json(&both).unwrap();
    valid("merged", &merged);
    assert_eq!(Results::from_json(&merged).unwrap().runs.len(), 6);
    let again = Source::read("merged", &merged).unwrap();
    let named = |sources: &[Source]| -> Vec<(String, Results)> {
        sources.iter().map(|source| (source.name.clone(), source.results.clone())).collect()
    };
    assert_eq!(named(&again), named(&both));
    assert!(again.iter().all(|source| source.file == "merged"));
    assert_eq!(merge::json(&again).unwrap(), merged);
    // One file stays what it is, with fields that are not known.
    let odd = FIRST.replacen("\"runs\"", "\"later\": {\"x\": 1}, \"runs\"", 1);
    let text = merge::json(&Source::read("odd", &odd).unwrap()).unwrap();
    assert!(text.contains("\"later\""));
    // A list of sources that does not fit is none.
    let broken = merged.replace("\"runs\": 3", "\"runs\": 4");
    assert_eq!(Source::read("broken", &broken).unwrap().len(), 1);
}

#[test]
fn what_faults_has_found_is_a_table_of_its_own() {
    let cases = json!([
        {"name": "never", "arm": "base", "result": "wrong", "wrong": ["the next CPU gets its task"]},
        {"name": "never", "arm": "p1", "result": "ok", "wrong": [], "detail": ""},
        {"name": "late|<b>", "arm": "p1", "result": "FAILED", "wrong": [], "detail": "CPU 3 is online"},
    ]);
    let mut document: Value = serde_json::from_str(FIRST).unwrap();
    document["cases"] = cases;
    let sources = Source::read("faults", &document.to_string()).unwrap();
    let report = Report::new(&sources, Mode::Compare, &[]);
    // Runs with different faults are no repeats of each other.
    assert!(report.settings.is_empty());
    let page = html::page(&report).unwrap();
    for part in
        ["the next CPU gets its task", "FAILED<small>CPU 3 is online</small>", "late|&#60;b&#62;"]
    {
        assert!(page.contains(part), "{part}");
    }
    let text = markdown::markdown(&report);
    assert!(text.contains("| never    | wrong (the next CPU gets its task) |"), "{text}");
    assert!(text.contains("| late/\u{2039}b\u{203a}"), "{text}");
}

#[test]
fn the_schema_refuses_what_is_none() {
    let good: Value = serde_json::from_str(FIRST).unwrap();
    for (pointer, value, word) in [
        ("/schema", json!(2), "/schema"),
        ("/manifest/started", json!("yesterday"), "started"),
        ("/manifest/base/sha256", json!("abc"), "sha256"),
        ("/runs/0/clock", json!("sundial"), "clock"),
        ("/runs/0/bringup_ns", json!(-1), "bringup_ns"),
        ("/runs/0/parallel", json!(2), "parallel"),
        ("/runs/0/failure", json!({"kind": "panic", "detail": ""}), "ok"),
        ("/runs/0/per_cpu/1/mpidr", json!(1), "mpidr"),
        ("/runs/0/phases/kick_to_entry", json!({"min": 1}), "kick_to_entry"),
        ("/runs/0/kvm", json!({}), "kvm"),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(pointer).expect(pointer) = value;
        let errors = errors(&document);
        assert!(errors.iter().any(|error| error.contains(word)), "{pointer}: {errors:?}");
    }
    let mut document = good;
    document.pointer_mut("/runs/0").unwrap().as_object_mut().unwrap().remove("smp_ns");
    assert_eq!(errors(&document).len(), 1);
}

/// Every results file in the folder that BRINGUP_RESULTS names, as verbs have written them. Run by
/// `cargo xtask test`; alone it has nothing to look at.
#[test]
#[ignore = "needs results of other verbs, in BRINGUP_RESULTS"]
fn what_verbs_have_written_is_as_the_schema_says() {
    let folder = std::env::var("BRINGUP_RESULTS").expect("BRINGUP_RESULTS names a folder");
    let mut files = Vec::new();
    find(Path::new(&folder), &mut files);
    let mut checked = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let document: Value = serde_json::from_str(&text).unwrap_or_default();
        if document.get("schema").is_some() && document.get("runs").is_some() {
            assert_eq!(errors(&document), [""; 0], "{}", file.display());
            Results::from_json(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            checked += 1;
        }
    }
    assert!(checked > 0, "no results file in {folder}");
    println!("{checked} results files are as the schema says");
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
}
