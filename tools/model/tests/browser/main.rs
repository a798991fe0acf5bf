// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The report's page in a real browser, whose program BRINGUP_CHROMIUM names: what is in it, what it
//! does under the pointer and the keys, that nothing is written to the console, that nothing is
//! asked of a network, and that nothing in the results becomes markup. Screenshots go to the folder
//! BRINGUP_SCREENSHOTS, if that is set. `cargo xtask test` runs this where there is a browser.

mod devtools;

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bringup_model::published;
use bringup_model::render::report::{Mode, Report, Source, html};
use bringup_model::results::{Clock, Exits, Failure, Kvm, Results, Run, Setup};
use bringup_model::timeline::{Cpu, Outcome, Timeline};
use devtools::Browser;
use serde_json::json;

const FIRST: &str = include_str!("../fixtures/demo-first-form.json");
/// Markup that would show in the page's title if it were taken for such.
const MARKUP: &str = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script></script>";

/// CPUs as on hardware: 120 us of firmware, 80 us of the kernel each.
fn cpus(count: u32, parallel: bool) -> Vec<Cpu> {
    let boot = Cpu {
        cpu: 0,
        mpidr: 0,
        node: Some(0),
        kick: None,
        kicked: None,
        entry: None,
        alive: None,
        release: None,
        starting: None,
        online: None,
        active: None,
        outcome: Outcome::Boot,
        extra: BTreeMap::new(),
    };
    let mut cpus = vec![boot.clone()];
    let (mut kick, mut free) = (85_000_000, 0);
    for cpu in 1..count {
        let alive = kick + 150_000;
        let release = (alive + 1_000).max(free);
        let active = release + 80_000;
        cpus.push(Cpu {
            cpu,
            mpidr: u64::from(cpu / 16) << 8 | u64::from(cpu % 16),
            kick: Some(kick),
            kicked: Some(kick + 20_000),
            entry: Some(kick + 120_000),
            alive: Some(alive),
            release: Some(release),
            starting: Some(release + 40_000),
            online: Some(release + 44_000),
            active: Some(active),
            outcome: Outcome::Online,
            ..boot.clone()
        });
        free = active + 2_000;
        kick = if parallel { kick + 21_000 } else { free };
    }
    cpus
}

fn run(arm: &str, cpus: Vec<Cpu>) -> Run {
    let parallel = arm != "base";
    let timeline = Timeline { parallel, window: "auto".into(), extra: BTreeMap::new(), cpus };
    let setup = Setup {
        arm: arm.into(),
        cpus: u32::try_from(timeline.cpus.len()).unwrap(),
        parallel: None,
        window: None,
        accel: "kvm".into(),
        clock: Clock::Counter,
        firmware: None,
    };
    let mut run = Run::new(setup).with_timeline(&timeline);
    run.smp_ns = run.bringup_ns;
    run
}

/// The page of those runs, in a file of its own.
fn page(runs: Vec<Run>) -> (tempfile::TempDir, PathBuf) {
    let mut results = Results::from_json(FIRST).unwrap();
    results.runs = runs;
    results.manifest.command = format!("cargo xtask bench {MARKUP}");
    results.manifest.meta.insert(MARKUP.into(), MARKUP.into());
    let sources = [Source::new(MARKUP, results)];
    let published = published::all().unwrap();
    let text = html::page(&Report::new(&sources, Mode::Compare, &published)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

fn browser() -> Browser {
    Browser::start(&std::env::var("BRINGUP_CHROMIUM").expect("BRINGUP_CHROMIUM names a browser"))
}

fn keep(browser: &mut Browser, name: &str) {
    let shot = STANDARD.decode(browser.screenshot()).unwrap();
    assert!(shot.len() > 10_000, "{name} is empty");
    if let Ok(folder) = std::env::var("BRINGUP_SCREENSHOTS") {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), shot).unwrap();
    }
}

/// The middle of an element: its place in the window, after it was scrolled there.
fn place(browser: &mut Browser, selector: &str) -> [f64; 4] {
    let box_of = format!(
        "(() => {{ const it = document.querySelector({}); it.scrollIntoView({{block: 'center', behavior: 'instant'}}); \
         const box = it.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; }})()",
        json!(selector)
    );
    let value = browser.eval(&box_of);
    [0, 1, 2, 3].map(|index| value[index].as_f64().expect("a number"))
}

/// Opens the page at that width, at which nothing may stand out.
fn fits(browser: &mut Browser, file: &std::path::Path, width: u32) {
    browser.open(file, width, 800);
    let wide = browser.eval("document.documentElement.scrollWidth - innerWidth");
    assert!(wide.as_i64() <= Some(0), "{width} pixels are too few by {wide}");
}

#[test]
#[ignore = "needs chromium, in BRINGUP_CHROMIUM"]
fn the_page_has_it_all_and_keeps_quiet() {
    let mut browser = browser();
    let failed = |mut cpus: Vec<Cpu>| {
        cpus[3].outcome = Outcome::Died(MARKUP.into());
        (cpus[3].starting, cpus[3].online, cpus[3].active) = (None, None, None);
        cpus
    };
    let mut with_exits = run("p1", cpus(16, true));
    with_exits.kvm = Some(Kvm {
        exits: BTreeMap::from([("IRQ".into(), Exits { count: 205, time_ns: Some(1_700) })]),
        gicr_typer_reads: Some(322),
        ..Kvm::default()
    });
    let runs = vec![
        run("base", cpus(16, false)),
        with_exits,
        run(MARKUP, failed(cpus(16, true))).with_failure(Failure {
            kind: "panic".into(),
            detail: MARKUP.into(),
            console_tail: vec![MARKUP.into()],
        }),
        run("base", cpus(64, false)),
        run("p1", cpus(64, true)),
    ];
    let (_folder, file) = page(runs);
    browser.open(&file, 1200, 900);
    for section in
        ["arms", "scaling", "timelines", "phases", "kvm", "failures", "published", "manifest"]
    {
        assert_eq!(browser.count(&format!("section#{section} h2")), 1, "{section}");
        assert_eq!(browser.count(&format!("nav a[href='#{section}']")), 1, "{section}");
    }
    // Nothing of what was given became markup.
    assert_eq!(browser.text("document.title"), "arm64 CPU bring-up, Linux 7.3.4");
    assert_eq!((browser.count("img"), browser.count("script")), (0, 1));
    assert!(
        browser.text("document.querySelector('#failures pre').textContent").contains("<script>")
    );
    // It can be read without seeing it.
    assert_eq!(browser.count("html[lang]"), 1);
    assert_eq!(browser.count("svg:not([role=img][aria-label])"), 0);
    assert_eq!(browser.count("table:not(:has(caption)), table:not(:has(thead th[scope=col]))"), 0);
    assert_eq!(browser.count("tbody tr:not(:has(th[scope=row]))"), 0);
    assert_eq!(browser.count("figure.panel"), 5);
    assert_eq!(browser.count(".chart .point"), 4);
    assert_eq!(browser.count("#published .scroll"), 3);
    // Bars can be compared: they are as wide in every column.
    let widths =
        "new Set([...document.querySelectorAll('#phases .bar')].map(bar => bar.clientWidth)).size";
    assert_eq!(browser.eval(widths), json!(1));
    assert_eq!(browser.count(".area.empty"), 0);
    keep(&mut browser, "desktop-light");
    browser.media("screen", "dark");
    let colour = browser.text("getComputedStyle(document.body).backgroundColor");
    assert_eq!(colour, "rgb(13, 17, 23)");
    keep(&mut browser, "desktop-dark");
    browser.media("print", "light");
    assert_eq!(browser.text("getComputedStyle(document.querySelector('nav')).display"), "none");
    keep(&mut browser, "print");
    browser.media("screen", "light");
    for width in [320, 390, 768] {
        fits(&mut browser, &file, width);
    }
    browser.open(&file, 390, 800);
    keep(&mut browser, "phone");
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
#[ignore = "needs chromium, in BRINGUP_CHROMIUM"]
fn pointer_and_keys_give_exact_times() {
    let mut browser = browser();
    let (_folder, file) = page(vec![run("base", cpus(16, false)), run("p1", cpus(16, true))]);
    browser.open(&file, 1200, 900);
    let readout = "document.querySelectorAll('.readout')[1].textContent";
    assert!(browser.text(readout).starts_with("Point at a span"));

    // CPU 1 of p1 is kicked first; its kick lasts for the first 120 us.
    let [left, top, width, height] = place(&mut browser, ".panel:nth-of-type(2) .area");
    let end =
        browser.eval("Number(document.querySelector('.panel').dataset.end)").as_f64().unwrap();
    let at = |ns: f64, cpu: f64| (left + width * ns / end, top + height * (cpu + 0.5) / 16.0);
    let (x, y) = at(60_000.0, 1.0);
    browser.mouse("mouseMoved", x, y);
    let words = browser.text(readout).replace('\u{202f}', " ");
    assert_eq!(
        words,
        "CPU 1 (MPIDR 0x1, node 0), online; kick to entry: 120 us (120 000 ns); from 0 ns to 120 000 ns"
    );
    assert_eq!(browser.eval("document.getElementById('tip').hidden"), json!(false));
    let (x, y) = at(10_000.0, 0.0);
    browser.mouse("mouseMoved", x, y);
    assert!(browser.text(readout).contains("kick call for CPU 1: 20.0 us"));
    keep(&mut browser, "hover");

    // A drag zooms both pictures; their spans are drawn again.
    let spans = "document.querySelector('.panel:nth-of-type(2) path.release').getAttribute('d')";
    let whole = browser.text(spans);
    let (from, to) = (at(500_000.0, 2.0), at(900_000.0, 2.0));
    browser.mouse("mouseMoved", from.0, from.1);
    browser.mouse("mousePressed", from.0, from.1);
    browser.mouse("mouseMoved", to.0, to.1);
    browser.mouse("mouseReleased", to.0, to.1);
    let zoom = browser.text("document.querySelector('.timelines').dataset.zoom");
    let (first, last) = zoom.split_once('-').expect("a part");
    let near = |text: &str, ns: f64| (text.parse::<f64>().unwrap() - ns).abs() < end / width * 2.0;
    assert!(near(first, 500_000.0) && near(last, 900_000.0), "{zoom}");
    assert_ne!(browser.text(spans), whole);
    let ticks = browser.text("document.querySelector('.panel .ticks').textContent");
    assert!(ticks.contains("us") || ticks.contains("ms"), "{ticks}");
    keep(&mut browser, "zoom");
    browser.eval("[...document.querySelectorAll('.tools button')].pop().click()");
    assert_eq!(browser.text(spans), whole);
    assert_eq!(browser.text("document.querySelector('.timelines').dataset.zoom"), "all");

    // The same without a pointer.
    browser.eval("document.querySelectorAll('.plot')[1].focus()");
    let words = browser.text(readout);
    assert!(words.starts_with("CPU 1 "), "{words}");
    browser.key("ArrowDown");
    browser.key("ArrowRight");
    browser.key("ArrowRight");
    let words = browser.text(readout);
    assert!(words.starts_with("CPU 2 ") && words.contains("alive to release"), "{words}");
    for key in ["+", "+", "End"] {
        browser.key(key);
    }
    assert!(browser.text(readout).starts_with("CPU 15 "));
    assert_ne!(browser.text(spans), whole);
    browser.key("0");
    assert_eq!(browser.text(spans), whole);
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
#[ignore = "needs chromium, in BRINGUP_CHROMIUM"]
fn a_short_timeline_is_drawn_once_more_on_a_larger_scale() {
    let mut browser = browser();
    let mut slow = cpus(16, false);
    for cpu in &mut slow {
        cpu.active = cpu.active.map(|at| at + u64::from(cpu.cpu) * 76_000_000);
    }
    let runs = vec![
        run("base", cpus(4, false)),
        run("base", slow),
        run("p1", cpus(16, true)).with_failure(Failure {
            kind: "panic".into(),
            detail: "not syncing".into(),
            console_tail: Vec::new(),
        }),
    ];
    let (_folder, file) = page(runs);
    browser.open(&file, 1200, 900);
    // The group of 4 CPUs is closed, that of 16 has base, p1, and p1 once more.
    assert_eq!(browser.count("details.group"), 2);
    assert_eq!(browser.count("details[open] .timelines"), 2);
    assert_eq!(browser.count("details[open] .timelines:last-of-type .panel"), 1);
    assert_eq!(browser.count("details[open] table.times"), 2);
    let note = browser.text("document.querySelector('details[open] h4').textContent");
    assert!(note.starts_with("p1 once more, on a larger scale: 0 to 1.38 ms"), "{note}");
    let caption = browser.text("document.querySelector('h4 ~ .timelines figcaption').textContent");
    assert!(caption.contains("this run failed: panic") && caption.contains("scale: 0 to 1.38 ms"));

    // The exact times are those of the table of its first picture.
    let [left, top, width, height] = place(&mut browser, "h4 ~ .timelines .area");
    let (x, y) = (left + width * 0.25, top + height * 1.5 / 16.0);
    browser.mouse("mouseMoved", x, y);
    let readout = "document.querySelector('h4 ~ .timelines .readout').textContent";
    assert!(browser.text(readout).starts_with("CPU 1 (MPIDR 0x1, node 0)"));
    keep(&mut browser, "larger-scale");

    // Turning the wheel keeps what is under the pointer, and leaves the other scale alone.
    let end = browser.eval("Number(document.querySelector('h4 ~ .timelines .panel').dataset.end)");
    let before = end.as_f64().unwrap() * 0.25;
    let wheel = format!(
        "document.querySelector('h4 ~ .timelines .area').dispatchEvent(new WheelEvent('wheel', \
         {{ctrlKey: true, deltaY: -100, clientX: {x}, clientY: {y}, bubbles: true, cancelable: true}}))"
    );
    for _ in 0..3 {
        browser.eval(&wheel);
    }
    let zoom = browser.text("document.querySelector('h4 ~ .timelines').dataset.zoom");
    let (first, last) = zoom.split_once('-').expect("a part");
    let (first, last): (f64, f64) = (first.parse().unwrap(), last.parse().unwrap());
    let after = first + (last - first) * 0.25;
    assert!((after - before).abs() < before * 0.01, "{before} became {after}");
    assert!((last - first) < end.as_f64().unwrap() * 0.6, "{zoom}");
    let other = "document.querySelector('details[open] .timelines').dataset.zoom || 'all'";
    assert_eq!(browser.text(other), "all");

    // On paper what is closed is there too.
    let shown = "document.querySelector('details:not([open]) .panel').checkVisibility()";
    assert_eq!(browser.eval(shown), json!(false));
    browser.media("print", "light");
    assert_eq!(browser.eval(shown), json!(true));
    keep(&mut browser, "larger-scale-print");
    browser.media("screen", "light");
    fits(&mut browser, &file, 390);
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
#[ignore = "needs chromium, in BRINGUP_CHROMIUM"]
fn a_trend_shows_nights_that_failed() {
    let mut browser = browser();
    let night = |day: u32, ok: bool| {
        let mut results = Results::from_json(FIRST).unwrap();
        results.manifest.started = format!("2026-11-0{day}T01:00:00Z");
        results.runs = vec![run("p1", cpus(16, true))];
        if !ok {
            let kind = "panic".into();
            let failure = Failure { kind, detail: MARKUP.into(), console_tail: Vec::new() };
            results.runs =
                results.runs.into_iter().map(|run| run.with_failure(failure.clone())).collect();
        }
        Source::new(&day.to_string(), results)
    };
    let nights = [night(1, true), night(2, true), night(3, false), night(4, true), night(5, true)];
    let text = html::page(&Report::new(&nights, Mode::Trend, &[])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trend.html");
    std::fs::write(&file, text).unwrap();
    browser.open(&file, 1200, 900);
    assert_eq!((browser.count(".chart .point"), browser.count(".chart .miss")), (4, 1));
    // The mark is below all points, and within the chart.
    let place = |selector: &str| {
        format!("document.querySelector('{selector}').getBoundingClientRect().top")
    };
    let [mark, point, chart] = [".miss", ".point", ".axes svg"]
        .map(|selector| browser.eval(&place(selector)).as_f64().unwrap());
    assert!(mark > point && mark > chart, "{mark} {point} {chart}");
    assert_eq!(browser.count("#failures tbody tr"), 1);
    assert_eq!(browser.count("img"), 0);
    keep(&mut browser, "trend");
    fits(&mut browser, &file, 390);
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
#[ignore = "needs chromium, in BRINGUP_CHROMIUM"]
fn five_hundred_cpus_are_still_usable() {
    let mut browser = browser();
    let runs = vec![run("base", cpus(512, false)), run("p1", cpus(512, true))];
    let (_folder, file) = page(runs);
    let size = std::fs::metadata(&file).unwrap().len();
    assert!(size < 700_000, "{size} bytes");
    browser.open(&file, 1200, 900);
    assert_eq!(browser.count(".times tbody tr"), 1024);
    // The last CPU is found, and rows can be zoomed in on.
    let [left, top, width, height] = place(&mut browser, ".panel:nth-of-type(2) .area");
    browser.mouse("mouseMoved", left + width / 3.0, top + height - 1.0);
    let readout = "document.querySelectorAll('.readout')[1].textContent";
    let words = browser.text(readout);
    assert!(words.starts_with("CPU 511 "), "{words}");
    let took = browser.eval(
        "(() => { const start = performance.now(); const button = document.querySelector('.tools button'); \
         for (let i = 0; i < 10; i++) button.click(); return performance.now() - start; })()",
    );
    assert!(took.as_f64() < Some(2_000.0), "ten zooms took {took} ms");
    browser.eval("document.querySelectorAll('.tools button')[4].click()");
    browser.eval("document.querySelectorAll('.tools button')[4].click()");
    assert!(browser.count(".panel:nth-of-type(2) .numbers span") >= 16);
    keep(&mut browser, "512-cpus");
    // A hundred ns of the base's last CPUs, when all of p1's have long been up.
    assert_eq!(browser.count(".panel:nth-of-type(2) .area.empty"), 1);
    assert_eq!(browser.count(".panel:nth-of-type(1) .area.empty"), 0);
    assert_eq!(browser.complaints, [""; 0]);
}
