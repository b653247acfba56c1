//! The page in a real browser: it runs, loads nothing, fits a phone, and can be read in light and
//! dark.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::page;
use super::tests::report;

/// A program of this name in the path.
#[expect(clippy::disallowed_methods, reason = "where programs are is said nowhere else")]
fn program(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(name));
    found.find(|file| file.is_file()).ok_or_else(|| format!("`{name}` in the path"))
}

/// What drives the browser, or what this machine lacks.
fn driver() -> Result<Command, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // The browser is driven as the official clients are in it.
    let playwright = "tests/sdk/node_modules/playwright-core";
    if !root.join(playwright).exists() {
        return Err(playwright.to_owned());
    }
    let mut driver = Command::new(program("node")?);
    driver.arg(root.join("loadtest/tests/look.mjs")).arg(program("chromium")?);
    Ok(driver)
}

/// What the browser sees of a page with everything in it, on each screen in light and dark. `None`
/// where there is no browser, which is a failure where `.ci/run` has installed one.
#[expect(clippy::disallowed_methods, reason = "the variable by which CI asks for every client")]
fn looks() -> Option<Vec<Value>> {
    let mut driver = match driver() {
        Ok(driver) => driver,
        Err(missing) => {
            let required = std::env::var("SDK_CLIENTS").is_ok_and(|asked| asked == "required");
            assert!(!required, "the report cannot be looked at: no {missing}");
            let line = format!("report in a browser skipped: there is no {missing}\n");
            std::io::stderr().write_all(line.as_bytes()).expect("stderr");
            return None;
        }
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.html");
    std::fs::write(&file, page(&report())).expect("a file");
    let output = driver.arg(&file).output().expect("node runs");
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    Some(serde_json::from_slice(out).expect(&err))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_browser_shows_the_page_on_any_screen_in_light_and_dark() {
    let Some(looks) = looks() else { return };
    assert_eq!(looks.len(), 6, "three screens, two schemes");
    for look in &looks {
        let check = |holds: bool, what: &str| assert!(holds, "{what}: {look:#}");
        check(look["complaints"] == serde_json::json!([]), "nothing is complained of or loaded");
        check(look["hit"] == Value::Null, "no text of the report runs");
        check(look["overflowing"] == serde_json::json!([]), "nothing is wider than the screen");
        check(look["covering"] == serde_json::json!([]), "no label covers another");
        check(number(&look["text_px_min"]) >= 12.0, "all text is large enough");
        check(number(&look["text_contrast_min"]) >= 4.5, "all text stands out");
        check(number(&look["line_contrast_min"]) >= 3.0, "all lines stand out");
        // Four of the five plots have something to draw: one line, seven, one and one.
        check(
            look["lines"].as_array().is_some_and(|lines| lines.len() == 10),
            "all lines are there",
        );
        for line in look["lines"].as_array().into_iter().flatten() {
            check(
                number(&line["width"]) > 100.0 && number(&line["height"]) > 20.0,
                "lines are drawn",
            );
        }
        check(look["tip"].as_str().is_some_and(|tip| tip.contains("cores")), "values are told");
    }
    let paper = |scheme: &str| {
        let of = looks.iter().filter(|look| look["scheme"] == scheme);
        of.map(|look| number(&look["page_luminance"])).collect::<Vec<_>>()
    };
    assert!(paper("light").iter().all(|luminance| *luminance > 0.8), "{:?}", paper("light"));
    assert!(paper("dark").iter().all(|luminance| *luminance < 0.05), "{:?}", paper("dark"));
}
