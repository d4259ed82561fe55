//! The programs on a page of the documentation.

/// A program, by the file that it is to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) file: String,
    pub(super) text: String,
}

/// The blocks of code that begin with a comment that is the name of a file.
pub(super) fn examples(page: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("```") {
            continue;
        }
        let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        let Some(file) = block.first().and_then(|first| file_name(first)) else { continue };
        examples.push(Example { file: file.to_owned(), text: block.join("\n") + "\n" });
    }
    examples
}

fn file_name(line: &str) -> Option<&str> {
    let name = line.strip_prefix("# ").or_else(|| line.strip_prefix("// "))?;
    [".py", ".ts"].iter().any(|end| name.ends_with(end) && !name.contains(' ')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_name_a_file_are_programs() {
        let page = "# Page\n```python\n# app.py\nprint(1)\n```\ntext\n```sh\n# not a file\nls\n```\n```ts\n// app.ts\n```\n";

        let found = examples(page);

        let named = |file: &str, text: &str| Example { file: file.to_owned(), text: text.to_owned() };
        assert_eq!(found, [named("app.py", "# app.py\nprint(1)\n"), named("app.ts", "// app.ts\n")]);
    }
}
