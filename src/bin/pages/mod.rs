//! What packages install beside a program: its man page and its completions, made of its command line and kept under `dist`.
//!
//! `STROMBUS_PAGES=1 cargo test --bins pages` writes them anew. It is part of the tests only.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // of tests

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Compares the files of a program with what they should be, or writes them.
pub fn agree(command: &Command) {
    let name = command.get_name();
    let completions = [
        (Shell::Bash, format!("completions/{name}.bash")),
        (Shell::Zsh, format!("completions/_{name}")),
        (Shell::Fish, format!("completions/{name}.fish")),
    ];
    let completions = completions.into_iter().map(|(shell, file)| {
        let mut text = Vec::new();
        generate(shell, &mut command.clone(), name, &mut text);
        (file, String::from_utf8(text).unwrap())
    });
    for (file, text) in completions.chain([(format!("man/{name}.1"), man(command))]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist").join(&file);
        if std::env::var_os("STROMBUS_PAGES").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let is_current = fs::read_to_string(&path).is_ok_and(|there| there == text);
        assert!(is_current, "dist/{file} is not current: STROMBUS_PAGES=1 cargo test --bins pages");
    }
}

/// The man page. A paragraph of the help that begins with a word or two and a colon is a section of its own; what stands before
/// the first of these describes the program.
fn man(command: &Command) -> String {
    let mut command = command.clone();
    command.build();
    let (name, version) = (command.get_name(), command.get_version().unwrap());
    let about = command.get_about().unwrap().to_string();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.lines().map(|line| format!("  {}\n", line.trim_start_matches("Usage:").trim()));
    let help = command.get_after_help().unwrap().to_string();
    let paragraphs: Vec<_> = help.split("\n\n").collect();
    let first_section = paragraphs.iter().position(|paragraph| head(paragraph).is_some()).unwrap();
    let (description, sections) = paragraphs.split_at(first_section);

    let mut page = format!(".TH {name} 1 \"\" \"{name} {version}\" \"User Commands\"\n");
    section(&mut page, "NAME", &format!("{name} - {}{}", about[..1].to_lowercase(), &about[1..]));
    section(&mut page, "SYNOPSIS", &usage.collect::<String>());
    section(&mut page, "DESCRIPTION", &format!("{about}."));
    description.iter().for_each(|paragraph| text(&mut page, paragraph));
    if command.has_subcommands() {
        section(&mut page, "COMMANDS", "Each has a --help of its own.");
        command.get_subcommands().for_each(|command| summary(&mut page, command));
    }
    let mut options = Vec::new();
    Man::new(command.clone()).render_options_section(&mut options).unwrap();
    page += &String::from_utf8(options).unwrap();
    for paragraph in sections {
        match head(paragraph) {
            Some((head, rest)) => section(&mut page, &head.to_uppercase(), rest),
            None => text(&mut page, paragraph),
        }
    }
    page
}

/// The word or two that a paragraph begins with, and what follows the colon.
fn head(paragraph: &str) -> Option<(&str, &str)> {
    let (head, rest) = paragraph.split_once(':')?;
    let is_one = head.len() < 20 && head.chars().all(|c| c.is_ascii_alphabetic() || c == ' ');
    is_one.then_some((head, rest))
}

/// A command's words and what it does.
fn summary(page: &mut String, command: &Command) {
    let operands = command.get_positionals().map(|operand| operand.get_id().as_str().to_uppercase());
    let words: Vec<_> = [command.get_name().to_owned()].into_iter().chain(operands).collect();
    writeln!(page, ".TP\n\\fB{}\\fR", words.join(" ").replace('-', "\\-")).unwrap();
    text(page, &command.get_about().unwrap().to_string());
}

fn section(page: &mut String, head: &str, body: &str) {
    writeln!(page, ".SH \"{head}\"").unwrap();
    text(page, body);
}

/// Paragraphs are filled; lines that are set in stay as they are.
fn text(page: &mut String, body: &str) {
    let mut set_in = false;
    for line in body.lines().skip_while(|line| line.is_empty()) {
        if set_in != line.starts_with("  ") {
            set_in = !set_in;
            *page += if set_in { ".nf\n" } else { ".fi\n" };
        }
        let line = line.strip_prefix("  ").unwrap_or_else(|| line.trim_start());
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        let acts = line.starts_with(['.', '\'']);
        *page += if acts { "\\&" } else { "" };
        *page += if line.is_empty() { ".PP" } else { &line };
        *page += "\n";
    }
    *page += if set_in { ".fi\n.PP\n" } else { ".PP\n" };
}
