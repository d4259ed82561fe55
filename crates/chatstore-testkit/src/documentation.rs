//! What a page of the documentation tells its reader to do.

/// The shell commands (` ```sh `) below a heading of a page, a block each, up to the next heading of this level or above. None
/// when the page has no such heading.
#[must_use]
pub fn shell_blocks<'p>(page: &'p str, heading: &str) -> Vec<&'p str> {
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let ends = |line: &str| {
        let own = line.bytes().take_while(|byte| *byte == b'#').count();
        (1..=level).contains(&own) && line.as_bytes().get(own) == Some(&b' ')
    };
    let mut blocks = Vec::new();
    let mut is_in_section = false;
    let mut rest = page;
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        if line == "```sh" {
            let Some((block, after)) = rest.split_once("```") else { break };
            if is_in_section {
                blocks.push(block);
            }
            rest = after;
        } else if line == heading {
            is_in_section = true;
        } else if is_in_section && ends(line) {
            break;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_one_section_are_found() {
        let page = "# Page\n```sh\nnot this\n```\n## Stop\ntext\n```sh\n# a comment\nstop\n```\n### By force\n\
                    ```sh\nkill\n```\n```console\n$ no\n```\n## Start\n```sh\nstart\n```\n";
        assert_eq!(shell_blocks(page, "## Stop"), ["# a comment\nstop\n", "kill\n"]);
        assert_eq!(shell_blocks(page, "### By force"), ["kill\n"]);
        assert!(shell_blocks(page, "## By force").is_empty());
    }
}
