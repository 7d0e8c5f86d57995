"""Files of exported programs: PyTorch's are read, ours round trip, hostile ones are refused and execute nothing."""

import io
import json
import zipfile
from pathlib import Path

import export_programs
import pytest

import torch
from torch.utils import _pytree as pytree

RECORDED = Path(__file__).parent / "data" / "exported_programs.zip"


def recorded(name, kind):
    with zipfile.ZipFile(RECORDED) as archive:
        return io.BytesIO(archive.read(f"{name}.{kind}"))


def saved(program):
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return file


def check_calls(program, name):
    """Run a program with the recorded arguments and compare with the recorded results."""
    torch.manual_seed(0)
    made = export_programs.PROGRAMS[name]()
    leaves = torch.load(recorded(name, "results.pt"), weights_only=True)
    for args, kwargs in export_programs.inputs_of(made):
        count = len(pytree.tree_leaves((args, kwargs)))
        args, kwargs = pytree.tree_unflatten(leaves[:count], pytree.tree_structure((args, kwargs)))
        torch.manual_seed(1)
        actual = pytree.tree_leaves(program.module()(*args, **kwargs))
        expected = leaves[count : count + len(actual)]
        leaves = leaves[count + len(actual) :]
        for a, e in zip(actual, expected, strict=True):
            if isinstance(e, torch.Tensor):
                torch.testing.assert_close(a, e, rtol=1e-5, atol=1e-6)
            else:
                assert a == e
    assert not leaves


@pytest.mark.parametrize("name", export_programs.PROGRAMS)
def test_a_file_of_pytorch_gives_pytorchs_results(name):
    check_calls(torch.export.load(recorded(name, "pt2")), name)


@pytest.mark.parametrize("name", export_programs.PROGRAMS)
def test_a_file_of_pytorch_survives_being_written_and_taken_apart(name):
    program = torch.export.load(recorded(name, "pt2"))
    again = torch.export.load(saved(program))
    assert calls_of(again) == calls_of(program)
    check_calls(torch.export.load(saved(again.run_decompositions())), name)


def calls_of(program):
    """The operations of a program with the names and sizes of their results; graphs may be named anew."""
    return [
        (n.name, str(n.target), str(getattr(n.meta.get("val"), "shape", "")))
        for n in program.graph.nodes
        if n.op != "get_attr"
    ]


@pytest.mark.parametrize("name", export_programs.PROGRAMS)
def test_our_file_says_what_the_program_says(name):
    torch.manual_seed(0)
    module, args, kwargs, shapes, _ = export_programs.PROGRAMS[name]()
    program = torch.export.export(module, args, kwargs, dynamic_shapes=shapes)
    again = torch.export.load(saved(program))
    assert calls_of(again) == calls_of(program)
    assert again.graph_signature == program.graph_signature
    assert list(again.state_dict) == list(program.state_dict)


def test_tied_weights_share_their_memory():
    module, args, _, _, _ = export_programs.PROGRAMS["tied"]()
    program = torch.export.load(saved(torch.export.export(module, args)))
    first, second = program.state_dict["emb.weight"], program.state_dict["head.weight"]
    assert first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()


def test_further_texts_and_paths(tmp_path):
    program = torch.export.export(torch.nn.ReLU(), (torch.ones(2),))
    path = tmp_path / "program.pt2"
    torch.export.save(program, path, extra_files={"note.txt": "hello"})
    texts = {"note.txt": ""}
    assert torch.equal(torch.export.load(path, extra_files=texts).module()(-torch.ones(2)), torch.zeros(2))
    assert texts == {"note.txt": "hello"}


def test_export_leaves_no_mark_on_its_arguments():
    x = torch.ones(2)
    torch.export.export(torch.nn.ReLU(), (x,))
    assert x.__dict__ == {}


# ---- hostile files


def edited(change, records=None):
    """The file of a program with its JSON text changed by a function, or with other records."""

    class Mask(torch.nn.Module):
        def forward(self, x):
            return x[1:] * 2 + x.shape[0]

    program = torch.export.export(Mask(), (torch.ones(3),), dynamic_shapes=({0: torch.export.Dim("n", min=2)},))
    source, target = zipfile.ZipFile(saved(program)), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("models/model.json"):
                model = json.loads(data)
                change(model)
                data = json.dumps(model)
            archive.writestr(name, (records or {}).get(name.partition("/")[2], data))
    target.seek(0)
    return target


def nodes(model):
    return model["graph_module"]["graph"]["nodes"]


def set_target(text):
    return lambda model: nodes(model)[1].update(target=text)


def set_expression(text):
    def change(model):
        size = model["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]
        size["as_expr"]["expr_str"] = text

    return change


def set_guard(text):
    return lambda model: model.update(guards_code=[text])


def set_spec(text):
    return lambda model: model["graph_module"]["module_call_graph"][0]["signature"].update(in_spec=text)


MARK = "__import__('builtins').__dict__.update(tabula_was_here=1)"
HOSTILE = {
    "a function by its path": set_target("os.system"),
    "a function of torch": set_target("torch.hub.load"),
    "a method of the namespace": set_target("torch.ops.load_library.x.y"),
    "dunder names": set_target("torch.ops.aten.__class__.__init__"),
    "no operation": set_target("torch.ops.aten.no_such_operation.default"),
    "a call as a size": set_expression(MARK),
    "an attribute as a size": set_expression("Symbol.__class__"),
    "a symbol that is code": set_expression(f"Symbol({MARK!r})"),
    "a power without end": set_expression("Pow(Integer(9), Pow(Integer(9), Pow(Integer(9), Integer(9))))"),
    "depth": set_expression("Add(" * 5000 + "Integer(1)" + ")" * 5000),
    "a guard that is code": set_guard(MARK),
    "a guard that calls": set_guard("L['x'].size()[0] == " + MARK),
    "a spec that imports": set_spec(
        '[1, {"type": "builtins.dict", "context": "[{\\"__enum__\\": true, \\"fqn\\": \\"antigravity:X\\", '
        '\\"name\\": \\"Y\\"}]", "children_spec": [{"type": null, "context": null, "children_spec": []}]}]'
    ),
    "another version": lambda model: model["schema_version"].update(major=1),
    "no signature": lambda model: model["graph_module"].pop("signature"),
    "an unknown dtype": lambda model: model["graph_module"]["graph"]["tensor_values"]["x"].update(dtype=99),
    "a value before it is made": lambda model: nodes(model).reverse(),
    "a list for a program": lambda model: model.update(graph_module=[]),
    "an unknown argument": lambda model: nodes(model)[1]["inputs"][0].update(name="nothing"),
    "two values at once": lambda model: nodes(model)[1]["inputs"][0].update(arg={"as_int": 1, "as_none": True}),
    "a name that is code": lambda model: nodes(model)[1].update(name="x\nimport os", outputs=[]),
}


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_text_is_refused_and_not_executed(title):
    import builtins
    import sys

    with pytest.raises(RuntimeError, match="torch.export.load: "):
        torch.export.load(edited(HOSTILE[title]))
    assert not hasattr(builtins, "tabula_was_here")
    assert "antigravity" not in sys.modules


def test_a_hostile_pickle_is_not_executed():
    import pickle

    class Call:
        def __reduce__(self):
            return exec, ("import builtins; builtins.tabula_was_here = 1",)

    data = io.BytesIO()
    torch.save((Call(),), data)
    file = edited(lambda model: None, {"data/sample_inputs/model.pt": data.getvalue()})
    assert torch.export.load(file).example_inputs is None
    file = edited(lambda model: None, {"data/sample_inputs/model.pt": pickle.dumps(Call())})
    assert torch.export.load(file).example_inputs is None
    import builtins

    assert not hasattr(builtins, "tabula_was_here")


def test_tensors_may_not_reach_beyond_their_record():
    module = torch.nn.Linear(2, 2)
    source, target = zipfile.ZipFile(saved(torch.export.export(module, (torch.ones(1, 2),)))), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("model_weights_config.json"):
                data = data.replace(b'"as_int": 2', b'"as_int": 4096')
            archive.writestr(name, data)
    target.seek(0)
    with pytest.raises(RuntimeError, match="bytes, but .* are needed"):
        torch.export.load(target)


def test_files_cut_short_are_refused():
    data = saved(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))).getvalue()
    for size in range(0, len(data) - 1, 97):
        with pytest.raises(RuntimeError, match="not an archive of an exported program"):
            torch.export.load(io.BytesIO(data[:size]))
