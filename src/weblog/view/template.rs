//! `--format`: a text with the names of fields in braces.

use super::show::{FIELDS, Field, SHOWN_MAX, Shown};

/// Fields, and texts between them, of a template.
pub const PARTS_MAX: usize = 64;

/// A template that was understood.
#[derive(Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Field(Field),
}

impl Template {
    /// Takes `{name}` as a field, `{{` and `}}` as braces, `\t` and `\n` as what they are elsewhere; all else as it stands.
    pub(super) fn new(template: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some(first) = rest.chars().next() {
            let two = rest.get(..2);
            let (plain, length) = match (first, two) {
                (_, Some("{{")) => ('{', 2),
                (_, Some("}}")) => ('}', 2),
                (_, Some("\\t")) => ('\t', 2),
                (_, Some("\\n")) => ('\n', 2),
                ('{', _) => {
                    let (name, after) = rest
                        .strip_prefix('{')
                        .and_then(|rest| rest.split_once('}'))
                        .ok_or_else(|| wrong(template, "a { without its }", "write {{ for a brace"))?;
                    parts.extend((!text.is_empty()).then(|| Part::Text(core::mem::take(&mut text))));
                    parts.push(Part::Field(field(template, name)?));
                    rest = after;
                    continue;
                }
                ('}', _) => return Err(wrong(template, "a } without its {", "write }} for a brace")),
                (plain, _) => (plain, plain.len_utf8()),
            };
            text.push(plain);
            rest = rest.get(length..).unwrap_or_default();
        }
        parts.extend((!text.is_empty()).then_some(Part::Text(text)));
        if parts.len() > PARTS_MAX {
            return Err(format!(
                "--format: {} fields and texts between them: write {PARTS_MAX} at the most",
                parts.len()
            ));
        }
        Ok(Self(parts))
    }

    /// Appends the parts of a record; with what is more than [`SHOWN_MAX`] it stops.
    pub(super) fn write(&self, shown: &Shown<'_>, out: &mut Vec<u8>) {
        let before = out.len();
        for part in &self.0 {
            if out.len() - before > SHOWN_MAX {
                return;
            }
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field(field) => shown.field(*field, out),
            }
        }
    }
}

fn field(template: &str, name: &str) -> Result<Field, String> {
    let found = FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
    found.ok_or_else(|| {
        let names: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
        wrong(template, &format!("no field {{{name}}}"), &format!("write one of {}", names.join(" ")))
    })
}

fn wrong(template: &str, what: &str, instead: &str) -> String {
    format!("--format {template}: {what}: {instead}")
}
