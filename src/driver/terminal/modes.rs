//! The settings of a terminal of this system as modes on the wire (RFC 4254 §8; IUTF8: RFC 8160), and back.

use crate::connection::TerminalModes;
use rustix::termios::{ControlModes, InputModes, LocalModes, OutputModes, SpecialCodeIndex, Termios};

/// Opcodes of special characters.
const CHARACTERS: [(u8, SpecialCodeIndex); 15] = [
    (1, SpecialCodeIndex::VINTR),
    (2, SpecialCodeIndex::VQUIT),
    (3, SpecialCodeIndex::VERASE),
    (4, SpecialCodeIndex::VKILL),
    (5, SpecialCodeIndex::VEOF),
    (6, SpecialCodeIndex::VEOL),
    (7, SpecialCodeIndex::VEOL2),
    (8, SpecialCodeIndex::VSTART),
    (9, SpecialCodeIndex::VSTOP),
    (10, SpecialCodeIndex::VSUSP),
    (12, SpecialCodeIndex::VREPRINT),
    (13, SpecialCodeIndex::VWERASE),
    (14, SpecialCodeIndex::VLNEXT),
    (16, SpecialCodeIndex::VSWTC),
    (18, SpecialCodeIndex::VDISCARD),
];

/// A special character that is not set, on the wire; here it is 0.
const UNSET: u32 = 255;

const INPUT: [(u8, InputModes); 13] = [
    (30, InputModes::IGNPAR),
    (31, InputModes::PARMRK),
    (32, InputModes::INPCK),
    (33, InputModes::ISTRIP),
    (34, InputModes::INLCR),
    (35, InputModes::IGNCR),
    (36, InputModes::ICRNL),
    (37, InputModes::IUCLC),
    (38, InputModes::IXON),
    (39, InputModes::IXANY),
    (40, InputModes::IXOFF),
    (41, InputModes::IMAXBEL),
    (42, InputModes::IUTF8),
];

const LOCAL: [(u8, LocalModes); 13] = [
    (50, LocalModes::ISIG),
    (51, LocalModes::ICANON),
    (52, LocalModes::XCASE),
    (53, LocalModes::ECHO),
    (54, LocalModes::ECHOE),
    (55, LocalModes::ECHOK),
    (56, LocalModes::ECHONL),
    (57, LocalModes::NOFLSH),
    (58, LocalModes::TOSTOP),
    (59, LocalModes::IEXTEN),
    (60, LocalModes::ECHOCTL),
    (61, LocalModes::ECHOKE),
    (62, LocalModes::PENDIN),
];

const OUTPUT: [(u8, OutputModes); 6] = [
    (70, OutputModes::OPOST),
    (71, OutputModes::OLCUC),
    (72, OutputModes::ONLCR),
    (73, OutputModes::OCRNL),
    (74, OutputModes::ONOCR),
    (75, OutputModes::ONLRET),
];

const CONTROL: [(u8, ControlModes); 4] = [
    (90, ControlModes::CS7),
    (91, ControlModes::CS8),
    (92, ControlModes::PARENB),
    (93, ControlModes::PARODD),
];

const TTY_OP_ISPEED: u8 = 128;
const TTY_OP_OSPEED: u8 = 129;

/// The settings of a terminal in the form of [`TerminalModes`].
#[must_use]
pub fn encode(termios: &Termios) -> Vec<u8> {
    let character = |index| match termios.special_codes[index] {
        0 => UNSET,
        character => character.into(),
    };
    let speeds = [(TTY_OP_ISPEED, termios.input_speed()), (TTY_OP_OSPEED, termios.output_speed())];
    let characters = CHARACTERS.into_iter().map(|(opcode, index)| (opcode, character(index)));
    let flag = |opcode, is| (opcode, u32::from(is));
    let input = INPUT.into_iter().map(|(opcode, mode)| flag(opcode, termios.input_modes.contains(mode)));
    let local = LOCAL.into_iter().map(|(opcode, mode)| flag(opcode, termios.local_modes.contains(mode)));
    let output = OUTPUT.into_iter().map(|(opcode, mode)| flag(opcode, termios.output_modes.contains(mode)));
    let control =
        CONTROL.into_iter().map(|(opcode, mode)| flag(opcode, termios.control_modes.contains(mode)));
    TerminalModes::encode(
        speeds.into_iter().chain(characters).chain(input).chain(local).chain(output).chain(control),
    )
}

/// Gives a terminal a peer's modes. What this system does not have is passed over.
pub fn apply(modes: TerminalModes<'_>, termios: &mut Termios) {
    for (opcode, argument) in modes.iter() {
        let on = argument != 0;
        if let Some((_, index)) = CHARACTERS.iter().find(|(known, _)| *known == opcode) {
            let character = if argument == UNSET { 0 } else { u8::try_from(argument & 0xff).unwrap_or(0) };
            termios.special_codes[*index] = character;
        } else if let Some((_, mode)) = INPUT.iter().find(|(known, _)| *known == opcode) {
            termios.input_modes.set(*mode, on);
        } else if let Some((_, mode)) = LOCAL.iter().find(|(known, _)| *known == opcode) {
            termios.local_modes.set(*mode, on);
        } else if let Some((_, mode)) = OUTPUT.iter().find(|(known, _)| *known == opcode) {
            termios.output_modes.set(*mode, on);
        } else if let Some((_, mode)) = CONTROL.iter().find(|(known, _)| *known == opcode) {
            // CS7 and CS8 are values of one field.
            if ControlModes::CSIZE.contains(*mode) && on {
                termios.control_modes.remove(ControlModes::CSIZE);
                termios.control_modes.insert(*mode);
            } else if !ControlModes::CSIZE.contains(*mode) {
                termios.control_modes.set(*mode, on);
            }
        } else if matches!(opcode, TTY_OP_ISPEED | TTY_OP_OSPEED) && argument != 0 {
            // A speed that the system does not have is none of a terminal without a wire.
            let _unknown = match opcode {
                TTY_OP_ISPEED => termios.set_input_speed(argument),
                _ => termios.set_output_speed(argument),
            };
        }
    }
}
