//! Logins at other programs: AsyncSSH, which demands a new password, and `ssh-weblog-server` with users from a file.

use super::super::openssh::{Files, Generation, Running, Server, our_ssh, ours};
use super::super::peers::asyncssh;
use super::{Answers, Came, beside, certify, generate, hashed, public, set, their_client};

#[test]
fn our_client_changes_a_password_that_has_expired() {
    let files = Files::new();
    // Words typed, how the command ends and what the server has noted.
    for (n, typed, status, noted) in [
        (0, &["old", "new", "new"][..], 0, "changed old to new"),
        (1, &["old", "new", "other", "new", "new"], 0, "changed old to new"),
        (2, &["old", "weak", "weak", "new", "new"], 0, "changed old to new"),
        (3, &["wrong", "old", "new", "new"], 0, "changed old to new"),
        (4, &["old"], 255, "expired"),
    ] {
        let mut server = asyncssh("password.py");
        let running = Running::start(server.arg(files.text("host_key")));
        let line = running.wait_for("Server listening").unwrap_or_else(|| panic!("{}", running.log()));
        let port = line.rsplit(' ').next().unwrap().parse().unwrap();
        let mut client = our_ssh(&files, port);
        let answers = Answers::new(&files, &format!("askpass{n}"), typed);
        answers.give(&mut client);
        let came = Came::of(client.args(["ann@127.0.0.1", "anything"]));
        let what = format!("{typed:?}: {:?} {}{}", answers.asked(), came.told(), running.log());
        assert_eq!(came.output.status.code(), Some(status), "{what}");
        assert!(running.wait_for(noted).is_some(), "{what}");
        let declined = usize::from(status != 0);
        assert_eq!(answers.asked().len(), typed.len() + declined, "{what}");
        assert!(came.told().contains("Your password has expired\\x1b"), "{what}");
        assert!(
            answers.asked().iter().any(|prompt| prompt == "Enter ann@127.0.0.1's new password: "),
            "{what}"
        );
    }
}

#[test]
fn every_ssh_logs_in_to_the_weblog_server_as_its_users_file_says() {
    let files = Files::new();
    let [one, two, ca] = ["one", "two", "ca"].map(|name| files.path(name));
    for path in [&one, &two, &ca] {
        generate(Generation::Trixie, path, &["ed25519"], "");
    }
    certify(Generation::Trixie, &ca, &two, &["-n", "carl"]);
    files.write("one_keys", &public(&one));
    let hash = hashed("", "secret");
    let hash = hash.trim().trim_start_matches(':');
    let users = format!(
        "[[user]]\nname = 'kate'\nauthorized_keys = 'one_keys'\n\
         [[user]]\nname = 'paul'\npassword_hash = '{hash}'\n\
         [[user]]\nname = 'both'\nauthorized_keys = 'one_keys'\npassword_hash = '{hash}'\n\
         require = ['publickey', 'password']\n\
         [[user]]\nname = 'carl'\nca_keys = '{}'\n[[log]]\npath = 'shop.log'\n",
        beside(&ca, ".pub").display()
    );
    files.write("shop.log", "");
    let config = files.write("users.toml", &users);
    let mut command = ours("ssh-weblog-server");
    command.args(["--listen", "127.0.0.1:0", "--config", &config, "--host-key", &files.text("host_key")]);
    let running = Running::start(&mut command);
    let line = running.wait_for("listening on").unwrap_or_else(|| panic!("{}", running.log()));
    let server = Server { port: line.rsplit(':').next().unwrap().parse().unwrap(), running };
    let key_only: &[&str] = &["PreferredAuthentications=publickey"];
    let no_key: &[&str] = &["PubkeyAuthentication=no"];
    for (n, (user, key, options, typed, succeeds)) in [
        ("kate", &one, key_only, "", true),
        ("kate", &two, key_only, "", false),
        ("kate", &one, no_key, "secret", false),
        ("paul", &one, no_key, "secret", true),
        ("paul", &one, no_key, "wrong", false),
        ("paul", &one, key_only, "", false),
        ("both", &one, &[], "secret", true),
        ("both", &one, key_only, "", false),
        ("both", &one, no_key, "secret", false),
        ("both", &two, &[], "secret", false),
        ("both", &one, &[], "wrong", false),
        ("carl", &two, key_only, "", true),
        ("carl", &one, key_only, "", false),
        ("eve", &one, key_only, "", false),
        ("eve", &one, no_key, "secret", false),
    ]
    .into_iter()
    .enumerate()
    {
        for generation in Generation::ALL {
            let mut client = their_client(generation, &files, server.port);
            let answers = Answers::new(&files, &format!("askpass{n}{generation:?}"), &[typed]);
            answers.give(&mut client);
            set(&mut client, options);
            // Failures of one source are held against it.
            let source = n * 2 + usize::from(generation == Generation::Trixie) + 2;
            client.args(["-b", &format!("127.0.78.{source}")]);
            let came = Came::of(client.arg("-i").arg(key).args([&format!("{user}@127.0.0.1"), "help"]));
            let expected = if succeeds { 0 } else { 255 };
            let what = format!("{user} {n}: {}{}", came.told(), server.running.log());
            assert_eq!(came.output.status.code(), Some(expected), "{what}");
        }
    }
}
