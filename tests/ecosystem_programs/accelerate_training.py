"""accelerate on the CPU in one process: training, accumulation, bfloat16, saved states, data loaders, big models."""

import os
import tempfile

import accelerate
from accelerate import (
    Accelerator,
    DistributedType,
    cpu_offload,
    disk_offload,
    dispatch_model,
    infer_auto_device_map,
    init_empty_weights,
    init_on_device,
    load_checkpoint_and_dispatch,
    load_checkpoint_in_model,
)
from accelerate.big_modeling import attach_align_device_hook, cpu_offload_with_hook
from accelerate.data_loader import BatchSamplerShard, IterableDatasetShard, skip_first_batches
from accelerate.hooks import ModelHook, SequentialHook, add_hook_to_module, remove_hook_from_module
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import (
    DataLoaderConfiguration,
    ProjectConfiguration,
    broadcast,
    compute_module_sizes,
    concatenate,
    extract_model_from_parallel,
    find_batch_size,
    gather,
    get_max_memory,
    honor_type,
    named_module_tensors,
    offload_state_dict,
    pad_across_processes,
    recursively_apply,
    reduce,
    send_to_device,
    set_module_tensor_to_device,
    set_seed,
)
from programs import attempt, show

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

os.environ["ACCELERATE_USE_CPU"] = "true"
folder = tempfile.mkdtemp()
features, labels = torch.linspace(-1, 1, 96).reshape(24, 4).sin(), torch.arange(24) % 3


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def parts(**options):
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    loader = DataLoader(TensorDataset(features, labels), batch_size=6, **options)
    return model, optimizer, loader, scheduler


def fresh(**options):
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=True, **options)


for precision in ("no", "bf16"):
    for steps in (1, 2):
        accelerator = fresh(mixed_precision=precision, gradient_accumulation_steps=steps)
        model, optimizer, loader, scheduler = accelerator.prepare(*parts())
        for _ in range(2):
            for x, y in loader:
                with accelerator.accumulate(model):
                    with accelerator.autocast():
                        out = model(x)
                    loss = nn.functional.cross_entropy(out, y)
                    accelerator.backward(loss)
                    if accelerator.sync_gradients:
                        norm = accelerator.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    scheduler.step()
                    optimizer.zero_grad()
        places = 2 if precision == "bf16" else 4
        show(precision, steps, out.dtype, round(float(loss.detach()), places), round(float(norm), places))
        show(scheduler.get_last_lr(), [type(part).__name__ for part in (optimizer, loader, scheduler)])
show(accelerator.device, accelerator.num_processes, accelerator.is_main_process, accelerator.distributed_type)
show(DistributedType.NO == accelerator.distributed_type, accelerator.mixed_precision, accelerator.use_distributed)

accelerator = fresh(project_config=ProjectConfiguration(folder, automatic_checkpoint_naming=True, total_limit=1))
model, optimizer, loader, scheduler = accelerator.prepare(*parts(shuffle=True))
loss = nn.functional.cross_entropy(model(features), labels)
accelerator.backward(loss)
optimizer.step()
before = {name: value.clone() for name, value in model.state_dict().items()}
path = accelerator.save_state()
show(sorted(os.listdir(path)), os.path.basename(path))
numbers = torch.rand(3)
optimizer.step()
accelerator.load_state(path)
show(all(torch.equal(value, before[name]) for name, value in model.state_dict().items()))
show(torch.equal(torch.rand(3), numbers), optimizer.state_dict()["state"][0]["step"])
accelerator.save_state()
show(sorted(os.listdir(os.path.join(folder, "checkpoints"))))
accelerator.save_model(model, os.path.join(folder, "model"), max_shard_size="1KB")
show(sorted(os.listdir(os.path.join(folder, "model"))))
other = network()
nn.init.zeros_(other[0].weight)
load_checkpoint_in_model(other, os.path.join(folder, "model"))
show(torch.equal(other[0].weight, model[0].weight))
accelerator.save({"a": features[:1]}, os.path.join(folder, "saved.bin"))
show(torch.load(os.path.join(folder, "saved.bin")))


class Counter:
    def __init__(self):
        self.count = 0

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


counter = Counter()
accelerator.register_for_checkpointing(counter)
attempt(accelerator.register_for_checkpointing, 3)
counter.count = 5
path = accelerator.save_state()
counter.count = 6
accelerator.load_state(path)
show(counter.count)

show(accelerator.gather(torch.arange(3)), accelerator.gather_for_metrics((torch.arange(2), [torch.ones(1)])))
show(accelerator.reduce(torch.ones(2), "mean"), accelerator.pad_across_processes(torch.ones(2)))
show(
    gather(torch.ones(1)),
    broadcast({"a": torch.ones(1)}),
    reduce([torch.ones(2)], "sum"),
    pad_across_processes([torch.ones(1)]),
)
show(accelerator.unwrap_model(model) is model, extract_model_from_parallel(model) is model)
with accelerator.no_sync(model), accelerator.join_uneven_inputs([model]):
    show(accelerator.sync_gradients)
with accelerator.split_between_processes([1, 2, 3]) as share:
    show(share)
with accelerator.main_process_first(), accelerator.local_main_process_first():
    accelerator.print("first")
accelerator.on_main_process(lambda: show("main"))()
accelerator.wait_for_everyone()
accelerator.set_trigger()
show(accelerator.check_trigger(), accelerator.check_trigger())
show(PartialState().process_index, PartialState().is_last_process, accelerator.state.mixed_precision)
accelerator.free_memory(model, optimizer)
attempt(fresh, mixed_precision="fp8x")

show([batch[1].tolist() for batch in skip_first_batches(DataLoader(TensorDataset(features, labels), 6), 2)])
sampler = torch.utils.data.BatchSampler(range(22), 4, False)
for split in (False, True):
    for even in (False, True):
        shards = [BatchSamplerShard(sampler, 2, rank, split_batches=split, even_batches=even) for rank in range(2)]
        show(split, even, [list(shard) for shard in shards])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(11))


show([list(IterableDatasetShard(Stream(), 2, num_processes=2, process_index=rank)) for rank in range(2)])
accelerator = fresh(dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True))
set_seed(7)
seeded = accelerator.prepare(DataLoader(TensorDataset(labels), batch_size=24, shuffle=True))
show([batch[0] for batch in seeded], [batch[0] for batch in seeded], seeded.total_batch_size)
stream = accelerator.prepare(DataLoader(Stream(), batch_size=4))
show([batch for batch in stream], stream.end_of_dataloader, stream.remainder)

show(send_to_device({"x": [features[0]], "y": (labels[:1], "text")}, "cpu"), find_batch_size([{"a": features}]))
show(recursively_apply(lambda t: t + 1, {"a": (labels[:2],)}), concatenate([{"a": labels[:2]}, {"a": labels[2:3]}]))
show(honor_type((1, 2), iter([3, 4])))

with init_empty_weights():
    empty = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
show([str(p.device) for p in empty.parameters()], empty[1].running_mean.device)
with init_empty_weights(include_buffers=True), torch.device("cpu"):
    show(nn.BatchNorm1d(2).running_mean.device)
with init_on_device(torch.device("meta")):
    show(nn.Linear(1, 1).weight.device)
show(compute_module_sizes(empty)[""], sorted(compute_module_sizes(empty, dtype=torch.float16).items()))
for budget in ({"cpu": 400, "disk": 10000}, {"cpu": 10000}, {"cpu": 0, "disk": 10000}):
    show(dict(infer_auto_device_map(empty, max_memory=budget)))
show(sorted(get_max_memory({"cpu": 100}).items()))
set_module_tensor_to_device(empty, "0.weight", "cpu", torch.ones(8, 4))
show(empty[0].weight.device, empty[0].weight.sum())
attempt(set_module_tensor_to_device, empty, "0.bias", "cpu")
attempt(set_module_tensor_to_device, empty, "0.bias", "cpu", torch.ones(3))

expected = network()(features)
model = dispatch_model(
    network(), {"0": "cpu", "1": "cpu", "2": "disk"}, main_device="cpu", offload_dir=folder, force_hooks=True
)
show(model[2].weight.device, torch.allclose(model(features), expected), model[2].weight.device)
model = cpu_offload(network(), execution_device=torch.device("cpu"))
show([str(p.device) for p in model.parameters()], torch.allclose(model(features), expected))
model = disk_offload(network(), os.path.join(folder, "offload"), execution_device=torch.device("cpu"))
show(torch.allclose(model(features), expected), len(os.listdir(os.path.join(folder, "offload"))))
model, hook = cpu_offload_with_hook(network(), execution_device=torch.device("cpu"))
show(torch.allclose(model(features), expected), hook.offload())
offload_state_dict(os.path.join(folder, "weights"), {"half": torch.ones(2).bfloat16(), "scalar": torch.tensor(3)})
show(sorted(os.listdir(os.path.join(folder, "weights"))))
model = network()
attach_align_device_hook(model, execution_device=torch.device("cpu"), offload=True)
show(torch.allclose(model(features), expected), [str(p.device) for p in model.parameters()])
remove_hook_from_module(model, recurse=True)
torch.save(network().state_dict(), os.path.join(folder, "weights.bin"))
with init_empty_weights():
    hollow = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
hollow = load_checkpoint_and_dispatch(hollow, os.path.join(folder, "weights.bin"), device_map={"": "cpu"})
show(torch.allclose(hollow(features), expected), [name for name, _ in named_module_tensors(hollow, recurse=True)])


class Doubling(ModelHook):
    def pre_forward(self, module, *args, **kwargs):
        return tuple(arg * 2 for arg in args), kwargs

    def post_forward(self, module, output):
        return output + 1


layer = nn.Linear(2, 1, bias=False)
nn.init.ones_(layer.weight)
add_hook_to_module(layer, Doubling())
show(layer(torch.ones(1, 2)))
add_hook_to_module(layer, Doubling(), append=True)
show(layer(torch.ones(1, 2)), type(layer._hf_hook) is SequentialHook)
remove_hook_from_module(layer)
show(layer(torch.ones(1, 2)), hasattr(layer, "_hf_hook"))

lines = []


def main(value):
    lines.append(value)


accelerate.notebook_launcher(main, ("launched",), num_processes=1)
show(lines)
