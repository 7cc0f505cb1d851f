//! What comes from the machine.

use super::*;

fn system(users: &str) -> System {
    System { users: users.as_bytes().to_vec() }
}

#[test]
fn users_are_found_by_name_and_number() {
    let uid = getuid().as_raw();
    let system = system(&format!(
        "broken\nann:x:{}:1::/home/ann:/bin/sh\nme:x:{uid}:1:Me:/home/me:/bin/sh\n",
        uid + 1
    ));
    assert_eq!(system.local().user, "me");
    assert_eq!(system.home_of("ann").as_deref(), Some("/home/ann"));
    assert_eq!(system.home_of("bob"), None);
    assert_eq!(system.variable("A=B"), None);
}

#[test]
fn a_command_is_run_by_the_shell_and_its_status_counts() {
    let mut system = system("");
    assert_eq!(system.exec("test 1 = 1"), Ok(true));
    assert_eq!(system.exec("exit 3"), Ok(false));
    assert!(system.exec("kill -9 $$").is_err());
}

#[test]
fn an_option_is_one_word() {
    assert_eq!(option("IdentityFile", "a \"b\\"), r#"IdentityFile="a \"b\\""#);
}
