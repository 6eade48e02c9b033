"""What every code of a message means: `etace explain E301`. A code never changes its meaning."""

from __future__ import annotations

CODES: dict[str, str] = {
    # ------------------------------------------------------------ E1: syntax
    "E100": """A word or sign stands where it cannot.
The message lists what may stand there.
wrong: species Si O
right: species Si, O""",
    "E101": """A character that the language does not use, or text that cannot be read.
Numbers have digits on both sides of the point, powers are `^`, comments start with `#`.
wrong: envelope(y) = (1 - y**2)**2
right: envelope(y) = (1 - y^2)^2""",
    "E102": """A value is missing after `=`.
wrong: param cutoff =
right: param cutoff = 5.5 Å""",
    "E103": """A range has two ends, and both are included.
wrong: radial R[n in 6] { ... }
right: radial R[n in 1..6] { ... }""",
    "E104": """A block or a bracket is not closed.
The next declaration, or the end of the file, came before its `}`, `)` or `]`.
wrong: onebody E0 { Si = 0 eV
right: onebody E0 { Si = 0 eV }""",
    "E105": """Weights are `learnable` (fitted) or `frozen` (kept as they start).
wrong: weights = trainable
right: weights = learnable per species""",
    "E106": """Weights are shared per `pair` (radials) or per `species` (readouts and pairs).
wrong: weights = learnable per atom
right: weights = learnable per species""",
    "E107": """Two fields need a comma or a new line between them.
wrong: onebody E0 { Si = 0 eV O = 0 eV }
right: onebody E0 { Si = 0 eV, O = 0 eV }""",
    "E108": """A model is a sum: its potentials need `+` between them.
wrong: model m = E0 V
right: model m = E0 + V""",
    "E109": """A line starts with a word that declares nothing.
wrong: cutoff = 5.5 Å
right: param cutoff = 5.5 Å""",
    "E110": """A radial or angular block needs its indices, in square brackets.
wrong: angular Y { harmonics = solid }
right: angular Y[l in 0..4] { harmonics = solid }""",
    "E111": """A declaration needs a name, by which others refer to it.
wrong: readout { from = B }
right: readout V { from = B }""",
    "E112": """A keyword of the language cannot be a name.
wrong: basis model { ... }
right: basis B { ... }""",
    "E113": """A bond is written with two elements, or `*` for any, and a dash.
wrong: bond Si O { rcut = 5 Å }
right: bond Si-O { rcut = 5 Å }""",
    # ------------------------------------------------------------ E2: names and keys
    "E201": """This kind of block does not have this key.
wrong: bond *-* { cutoff = 5 Å }
right: bond *-* { rcut = 5 Å }""",
    "E202": """Something is declared or given twice.
Names that are equal under Unicode NFKC (`µ` micro and `μ` mu) count as one.
wrong: species Si, O, Si
right: species Si, O""",
    "E204": """This cannot be a name: it is a word of expressions, or not made of letters and digits.
wrong: param sum = 3
right: param total = 3""",
    "E205": """This name or function is not known here.
Params are known below the line that declares them, `bond.rcut` in formulas of a radial.
wrong: envelope(y) = (1 - x^2)^2
right: envelope(y) = (1 - y^2)^2""",
    "E206": """A function is called with arguments it does not take, or without those it needs.
wrong: transform = agnesi(p = 2)
right: transform = agnesi(p = 2, q = 2)""",
    "E207": """`sum` and `count` run over the factors of a product, so they belong in a basis.
wrong: radial R[n in 1..6] { where sum(n) <= 4 ... }
right: basis B { where sum(n) <= 4 ... }""",
    "E208": """`transform` is a formula of r; `envelope` of y (transformed) or r; no other key is one.
wrong: transform(x) = 1 - 2 * x / bond.rcut
right: transform(r) = 1 - 2 * r / bond.rcut""",
    "E209": """There is no transform, envelope, polynomial, harmonic or start of this name.
wrong: polynomials = bessel(8)
right: polynomials = chebyshev(8)""",
    "E210": """An element that is not in the `species` line.
wrong: species Si / bond Si-C { rcut = 5 Å }
right: species Si, C / bond Si-C { rcut = 5 Å }""",
    "E211": """Two equally specific lines set the same length of a bond.
wrong: bond Si-* { rcut = 5 Å } / bond *-O { rcut = 6 Å }
right: both, and bond Si-O { rcut = 5 Å }, which is more specific""",
    "E212": """A block lacks a key it cannot do without.
wrong: readout V { }
right: readout V { from = B }""",
    "E213": """A radial's weights are shared per `pair`, those of a readout or pair per `species`.
wrong: readout V { from = B, weights = learnable per pair }
right: readout V { from = B, weights = learnable per species }""",
    "E214": """Frozen weights keep the values they start with, so these must be said.
wrong: weights = frozen
right: weights = frozen(init = one_hot)""",
    "E215": """`only` lists the products of a basis one by one; `order` and `where` select them.
wrong: order = 2, only = [[(n = 1, l = 0)]]
right: only = [[(n = 1, l = 0)]]""",
    "E216": """The factors of a basis are one radial times one angular block.
A radial without an index l may stand alone.
wrong: factors = R + Y
right: factors = R * Y""",
    "E217": """There is no block of this name and of the kind that is needed here.
Readouts read a basis, pairs a radial; models add readouts, pairs, onebodies and zbls.
wrong: model m = B
right: readout V { from = B } / model m = V""",
    "E218": """A product has several factors, each with its own n and l: say which is meant.
wrong: where n + l <= 4
right: where sum(n + l) <= 4""",
    "E219": """A factor in `only` must be a channel of the radial, with all its indices.
wrong: only = [[(n = 1)]]
right: only = [[(n = 1, l = 0)]]""",
    "E220": """A param that is set from outside, by -D or by `use`, does not exist or cannot be read.
wrong: use linear_ace as ace { max_ordre = 3 }
right: use linear_ace as ace { max_order = 3 }""",
    "E221": """Not the symbol of an element.
wrong: species SI
right: species Si""",
    "E222": """The file, and all it uses, declares no species.
right: species Si, O""",
    "E223": """A potential stands in a model twice: write a factor instead.
wrong: model m = V + V
right: model m = 2 * V""",
    "E224": """The file declares no model, so there is nothing to compile.
right: model m = E0 + V""",
    "E225": """A model is a sum of potentials, each with a plain number other than 0 as its factor.
wrong: model m = V * W
right: model m = V + 0.5 * W""",
    # ------------------------------------------------------------ E3: units and numbers
    "E301": """A length, an energy or a plain number is needed, and this is another of them.
Bare numbers are never taken for lengths or energies.
wrong: bond *-* { rcut = 5.5 }
right: bond *-* { rcut = 5.5 Å }""",
    "E302": """There is no unit of this name. Å (or angstrom), nm, bohr; eV, meV, Ha.
A name right after a number is read as its unit: to multiply write `*`.
wrong: transform(r) = 1 - 2 r / bond.rcut
right: transform(r) = 1 - 2 * r / bond.rcut""",
    "E303": """A whole number is needed.
wrong: polynomials = legendre(1.5 * max_n)
right: polynomials = legendre(ceil(1.5 * max_n))""",
    "E304": """Something else is needed here: a number, a list, a text or a factor, as the message says.
wrong: weights = frozen(load = w)
right: weights = frozen(load = "w.npz")""",
    "E305": """A condition is needed: a comparison, or several with and, or, not.
wrong: where sum(n)
right: where sum(n) <= 4""",
    "E306": """Units do not fit: unlike quantities cannot be added or compared, nor be exponents.
wrong: param a = 1 Å + 1 eV
right: param a = 1 Å + 0.1 nm""",
    "E307": """A number that does not exist or is too large: division by zero, overflow, root of -1.
wrong: param a = 1 / 0
right: param a = 1 / 2""",
    "E308": """A list has no entry of this number; entries count from 1.
wrong: param levels = [8, 6], used as levels[3]
right: param levels = [8, 6, 4]""",
    # ------------------------------------------------------------ E4: physics
    "E401": """A condition leaves nothing, or no product of the factors couples to the wanted L.
wrong: order = 2, where sum(n) <= 1
right: order = 2, where sum(n) <= 4""",
    "E402": """There are too many products to look at. A bounded sum is searched quickly.
wrong: order = 1..6
right: order = 1..6, where sum(n + 1.5 * l) <= 10""",
    "E403": """An argument makes no sense for this transform, polynomial or start.
wrong: transform = agnesi(p = 4, q = 2)
right: transform = agnesi(p = 2, q = 4)""",
    "E404": """The number of polynomials is out of bounds.
wrong: polynomials = legendre(0)
right: polynomials = legendre(12)""",
    "E405": """No table has a bond length for this element, so `r0` must be written.
wrong: species Fm
right: species Fm / bond Fm-Fm { r0 = 3.4 Å }""",
    "E406": """An index, order or L is out of bounds, or a range is empty.
wrong: radial R[n in 0..6, l in 0..4] { ... }
right: radial R[n in 1..6, l in 0..4] { ... }""",
    "E407": """The radial has an l that the harmonics do not reach.
wrong: radial R[n in 1..6, l in 0..4] / angular Y[l in 0..2]
right: radial R[n in 1..6, l in 0..4] / angular Y[l in 0..4]""",
    "E408": """A onebody block gives every species its energy.
wrong: species Si, O / onebody E0 { Si = -0.8 eV }
right: species Si, O / onebody E0 { Si = -0.8 eV, O = -1.0 eV }""",
    "E409": """The lengths of a bond must satisfy 0 <= rin < r0 < rcut <= 100 Å.
wrong: bond Si-O { rcut = 1 Å }, where r0 is 2.05 Å
right: bond Si-O { rcut = 5 Å }""",
    "E410": """A transform or envelope is infinite or undefined at a distance below the cutoff.
wrong: transform(r) = log(r - 2)
right: transform(r) = log(r)""",
    "E411": """An energy is read from a basis of invariants, L = 0.
wrong: basis B { L = 1 ... } / readout V { from = B }
right: basis B { L = 0 ... } / readout V { from = B }""",
    "E412": """A pair term sums a radial over the neighbours, so it takes one with n only.
wrong: radial R[n in 1..6, l in 0..4] { ... } / pair V2 { from = R }
right: radial R2[n in 1..6] { ... } / pair V2 { from = R2 }""",
    "E413": """The radial does not vanish at a cutoff, or jumps at an inner radius: so does the energy.
wrong: envelope(y) = 1
right: envelope(y) = (1 - y^2)^2""",
    "E414": """The lengths of a zbl block must satisfy 0 <= inner < outer <= rcut, for every bond.
wrong: bond *-* { rcut = 5 Å } / zbl core { outer = 6 Å }
right: bond *-* { rcut = 5 Å } / zbl core { outer = 1.2 Å }""",
    # ------------------------------------------------------------ E5: files and use
    "E501": """The first line of a file names the language and its version.
right: etace 1""",
    "E502": """The file is written in another version of the language.
wrong: etace 2
right: etace 1""",
    "E503": """Files use one another in a circle, or too deeply.
wrong: use "this_file.etace" as again
right: put what both need into a third file, and use that""",
    "E504": """A used file needs a name that can stand before a dot.
wrong: use "my model.etace"
right: use "my model.etace" as mine""",
    "E505": """A used file cannot be read. Presets stand without quotes, files in quotes.
wrong: use "linear_ace" as ace
right: use linear_ace as ace""",
    "E506": """A used file has syntax mistakes; they are listed with it.""",
    "E507": """The array of a `load` cannot be read: an .npy, or an .npz with one array, of reals.
wrong: weights = frozen(load = "weights.txt")
right: weights = frozen(load = "weights.npy")""",
    "E508": """A loaded array has another shape than the weights.
radial: channels × polynomials × pairs (centre outer); readout and pair: functions × species.""",
    # ------------------------------------------------------------ W6: warnings
    "W601": """A radial has more channels with one l than polynomials: some are linearly dependent.
wrong: radial R[n in 1..6] { polynomials = chebyshev(4) ... }
right: radial R[n in 1..6] { polynomials = chebyshev(6) ... }""",
    "W602": """Pair columns repeat: bonds are symmetric, so Si with O around it and O with Si around it
give equal sums when radials are one_hot. A fit needs a prior or a solver that bears it.""",
    "W603": """A potential is declared and in no model.
wrong: readout V { from = B } / model m = E0
right: model m = E0 + V""",
    "W604": """A radial, an angular block or a basis is declared and not used.""",
    "W605": """A transform leaves [-1, 1], where the polynomials are of order one; beyond they grow.
wrong: transform(r) = r / 2
right: transform(r) = 1 - 2 * r / bond.rcut""",
    "W606": """A radial has a kink at a cutoff or inner radius: the energy is continuous, forces jump.
wrong: envelope(y) = 1 - y^2
right: envelope(y) = (1 - y^2)^2""",
    "W607": """It cannot be decided whether a formula is finite, or how smoothly it ends.
It would take too much work, or comes too close to 0. `etace check --strict` refuses such a file.
wrong: envelope(y) = (1 - y^2)^2 / (1 - cos(y))
right: envelope(y) = (1 - y^2)^2 / (2 - cos(y))""",
    "W608": """A transform or envelope has a kink at a distance below the cutoff: forces jump there.
wrong: envelope(y) = (1 - y^2)^2 * abs(y - 0.3)
right: envelope(y) = (1 - y^2)^2 * (y - 0.3)^2""",
    "W609": """A formula divides 0 by 0 where its limit is finite: numbers near it are lost to rounding.
wrong: envelope(y) = (1 - y^2)^2 * (y^2 - 0.25) / (y - 0.5)
right: envelope(y) = (1 - y^2)^2 * (y + 0.5)""",
    "W610": """A param that nothing reads: setting it changes nothing.
wrong: param cutof = 6 Å / bond *-* { rcut = 5 Å }
right: param cutoff = 6 Å / bond *-* { rcut = cutoff }""",
    # ------------------------------------------------------------ E9: ours
    "E901": """A bug in etace, not in your file. Please report it together with the file.""",
}
