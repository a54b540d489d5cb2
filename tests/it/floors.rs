//! The floors of the house hold: who may import whom, and which crate lives where.

use std::fs;
use std::path::{Path, PathBuf};

/// Each floor and what it may import of ours.
const FLOORS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("providers", &["domain", "config"]),
    ("demo", &["domain", "providers"]),
    ("store", &["domain"]),
    ("receiver", &["domain", "config", "providers", "store"]),
    ("tui", &["domain", "store"]),
    (
        "cli",
        &[
            "domain",
            "config",
            "providers",
            "demo",
            "store",
            "receiver",
            "tui",
        ],
    ),
];

/// Crates that live on some floors only.
const CRATES: &[(&[&str], &[&str])] = &[
    (
        &[
            "axum",
            "hyper",
            "hyper_util",
            "tokio",
            "http_body_util",
            "tower",
        ],
        &["receiver", "cli"],
    ),
    (&["rusqlite"], &["store"]),
    (&["ratatui", "crossterm", "ratatui_textarea"], &["tui"]),
    (
        &[
            "clap",
            "clap_complete",
            "clap_mangen",
            "indicatif",
            "anyhow",
            "ureq",
        ],
        &["cli"],
    ),
];

fn sources(floor: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let file = src.join(format!("{floor}.rs"));
    if file.is_file() {
        found.push(file);
    }
    let mut folders = vec![src.join(floor)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The code of a file, without comments and without the tests at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn mentions(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '"')
    })
}

#[test]
fn each_floor_imports_only_what_stands_to_its_left() {
    let mut broken = Vec::new();
    for (floor, allowed) in FLOORS {
        for path in sources(floor) {
            let code = code(&path);
            for (other, _) in FLOORS {
                let import = format!("crate::{other}");
                if other != floor && !allowed.contains(other) && mentions(&code, &import) {
                    broken.push(format!("{}: {import}", path.display()));
                }
            }
            for (crates, floors) in CRATES {
                for name in *crates {
                    if !floors.contains(floor) && mentions(&code, &format!("{name}::")) {
                        broken.push(format!("{}: {name}", path.display()));
                    }
                }
            }
        }
    }
    assert!(
        broken.is_empty(),
        "imports that break the floors:\n{}",
        broken.join("\n")
    );
}

#[test]
fn every_floor_has_files() {
    for (floor, _) in FLOORS {
        assert!(
            !sources(floor).is_empty(),
            "the test of floors looks at nothing in {floor}"
        );
    }
}

#[test]
fn every_provider_file_is_in_the_list_and_is_the_only_place_that_says_its_name() {
    let known: Vec<&str> = subledger::providers::ALL
        .iter()
        .map(|provider| provider.id())
        .collect();
    let shared = ["mod", "check", "door", "body", "testing"];
    for path in sources("providers") {
        // What stands in a provider's own folder is part of its file.
        if path
            .parent()
            .is_some_and(|folder| !folder.ends_with("providers"))
        {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if shared.contains(&name.as_str()) {
            let code = code(&path);
            for id in &known {
                assert!(
                    !code.contains(&format!("\"{id}\"")),
                    "{} matches on {id}",
                    path.display()
                );
            }
        } else {
            assert!(
                known.contains(&name.as_str()),
                "{name} is not in providers::ALL"
            );
        }
    }
    assert!(known.len() >= 4);
}

#[test]
fn no_colour_is_chosen_outside_the_theme() {
    let of_theme = |path: &Path| {
        let path = path.to_string_lossy();
        path.ends_with("tui/theme.rs") || path.contains("tui/theme/")
    };
    let (inside, outside): (Vec<_>, Vec<_>) = FLOORS
        .iter()
        .flat_map(|(floor, _)| sources(floor))
        .partition(|path| of_theme(path));
    assert_eq!(inside.len(), 2);
    for path in outside {
        let code = code(&path);
        for word in ["Color::", "Stylize", ".fg(", ".bg("] {
            assert!(!code.contains(word), "{} in {}", word, path.display());
        }
    }
}
