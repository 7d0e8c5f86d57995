"""Datasets as pipelines."""

import warnings

from programs import attempt, show

import torch
from torch.utils import data
from torch.utils.data import graph_settings
from torch.utils.data.datapipes import iter as iter_pipes
from torch.utils.data.datapipes import map as map_pipes

warnings.filterwarnings("ignore", message="This DataLoader will create")
W = iter_pipes.IterableWrapper

# fmt: off
EXPRESSIONS = [
    "W(range(3))",
    "list(W(range(7)).batch(3))",
    "list(W(range(7)).batch(3, drop_last=True))",
    "type(next(iter(W(range(7)).batch(3))))",
    "list(W(range(7)).batch(2).batch(2))",
    "list(W([[1,[2]],[3]]).unbatch())",
    "list(W([[1,[2]],[[3]]]).unbatch(-1))",
    "list(W([[[1],[2]],[[3]]]).unbatch(2))",
    "list(W([1]).unbatch(-2))",
    "list(W([1]).unbatch())",
    "len(W(range(7)).batch(3))",
    "list(W(range(5)).map(lambda x:x*2))",
    "list(W([(1,2),(3,4)]).map(lambda x:x*10, input_col=1))",
    "list(W([(1,2),(3,4)]).map(lambda x:x*10, input_col=1, output_col=-1))",
    "list(W([(1,2),(3,4)]).map(lambda x,y:x+y, input_col=[0,1]))",
    "list(W([(1,2),(3,4)]).map(lambda x,y:x+y, input_col=(0,1), output_col=0))",
    "list(W([{'a':1}]).map(lambda x:x+1, 'a', 'b'))",
    "list(W([[1,2]]).map(lambda x:x*10, 0))",
    "list(W([1]).map(lambda x:x, output_col=1))",
    "list(W(range(6)).filter(lambda x:x%2))",
    "list(W([(1,2),(3,0)]).filter(lambda x:x, input_col=1))",
    "list(W(range(6)).filter(lambda x:None))",
    "list(W([[1,2,3]]).filter(lambda x:[x[0]]))",
    "list(W(range(6)).concat(W('ab')))",
    "list(W(range(6)).zip(W('ab')))",
    "list(W(range(6)).mux(W('ab')))",
    "list(W(range(4)).mux(W(range(10,12)), W(range(20,26))))",
    "[list(x) for x in W(range(6)).demux(2, lambda x:x%2)]",
    "[list(x) for x in W(range(6)).demux(2, lambda x:x, drop_none=False)]",
    "[list(x) for x in W(range(6)).demux(2, lambda x:None if x%3==0 else x%2, drop_none=True)]",
    "[list(x) for x in W(range(6)).demux(2, lambda x:None)]",
    "[list(x) for x in W(range(6)).fork(2)]",
    "W(range(6)).fork(1)",
    "W(range(6)).fork(0)",
    "W(range(6)).demux(0, lambda x:0)",
    "[list(x) for x in W(range(2000)).fork(2, buffer_size=3)][0][:2]",
    "[list(x) for x in W(range(2000)).demux(2, lambda x:x%2, buffer_size=3)]",
    "W(range(6)).fork(2, buffer_size=-1)",
    "W(range(6)).fork(2, buffer_size=-2)",
    "W(range(6)).fork(2, copy='shallow')[0]",
    "W(range(6)).fork(2, copy='x')[0]",
    "list(zip(*W(range(3)).fork(2)))",
    "list(W(range(3)).collate())",
    "list(W([[1,2],[3,4]]).collate())",
    "list(W([[1,2],[3,4]]).collate(collate_fn=sum))",
    "list(W(range(10)).groupby(lambda x:x%3))",
    "list(W(range(10)).groupby(lambda x:x%3, keep_key=True))",
    "list(W(range(10)).groupby(lambda x:x%3, group_size=2))",
    "list(W(range(10)).groupby(lambda x:x%3, group_size=2, drop_remaining=True))",
    "list(W(range(10)).groupby(lambda x:x%3, buffer_size=4, group_size=3, guaranteed_group_size=2))",
    "list(W(range(10)).groupby(lambda x:x%3, buffer_size=4, group_size=3, drop_remaining=True))",
    "list(W(range(10)).groupby(lambda x:x%3, buffer_size=4, group_size=3))",
    "list(W(range(10)).groupby(lambda x:x%3, buffer_size=4, group_size=5, guaranteed_group_size=3))",
    "W(range(10)).groupby(lambda x:x%3, group_size=0)",
    "W(range(10)).groupby(lambda x:x%3, group_size=2, guaranteed_group_size=3)",
    "W(range(10)).groupby(lambda x:x%3, guaranteed_group_size=2)",
    "list(W(range(10)).sharding_filter())",
    "torch.manual_seed(0) and list(W(range(10)).shuffle())",
    "torch.manual_seed(0) and list(W(range(10)).shuffle(buffer_size=3))",
    "list(W(range(10)).shuffle().set_seed(5))",
    "list(W(range(10)).shuffle().set_shuffle(False))",
    "list(W(range(6)).batch(2).shuffle(unbatch_level=1).set_seed(1))",
    "W(range(6)).shuffle(buffer_size=0)",
    "W(range(6)).shuffle(unbatch_level=1)",
    "list(iter_pipes.Sampler(W(range(4))))",
    ("list(iter_pipes.Sampler(W(range(4)), sampler=data.RandomSampler, sampler_kwargs={'generator': "
     "torch.Generator().manual_seed(0)}))"),
    "len(W(range(3)).shuffle())",
    "len(W(iter([1])))",
    "len(W(range(3)).filter(bool))",
    "len(W(range(3)).map(str))",
    "len(W(range(3)).concat(W([1])))",
    "len(W(range(3)).zip(W([1])))",
    "len(W(range(3)).mux(W([1])))",
    "len(W(range(3)).fork(2)[0])",
    "len(W(range(3)).demux(2,bool)[0])",
    "len(W(range(3)).unbatch())",
    "len(W(range(5)).sharding_filter())",
    "len(W(range(5)).collate())",
    "W(range(3)).nope",
    "W(range(3)).batch(0)",
    "W(range(3)).zip([1])",
    "W(range(3)).concat([1])",
    "iter_pipes.Zipper()",
    "iter_pipes.Concater()",
    "iter_pipes.Multiplexer()",
    "map_pipes.SequenceWrapper([1,2,3])",
    "list(map_pipes.SequenceWrapper([1,2,3]))",
    "map_pipes.SequenceWrapper({'a':1})['a']",
    "list(map_pipes.SequenceWrapper([1,2,3]).map(lambda x:x+1))",
    "list(map_pipes.SequenceWrapper([1,2,3]).batch(2))",
    "map_pipes.SequenceWrapper([1,2,3]).batch(2)[1]",
    "map_pipes.SequenceWrapper([1,2,3]).batch(2)[5]",
    "len(map_pipes.SequenceWrapper([1,2,3]).batch(2, True))",
    "list(map_pipes.SequenceWrapper([1,2,3]).concat(map_pipes.SequenceWrapper('ab')))",
    "map_pipes.SequenceWrapper([1,2,3]).concat(map_pipes.SequenceWrapper('ab'))[4]",
    "map_pipes.SequenceWrapper([1,2,3]).concat(map_pipes.SequenceWrapper('ab'))[5]",
    "list(map_pipes.SequenceWrapper([1,2,3]).zip(map_pipes.SequenceWrapper('ab')))",
    "map_pipes.SequenceWrapper([1,2,3]).zip(map_pipes.SequenceWrapper('ab'))[2]",
    "list(map_pipes.SequenceWrapper([1,2,3]).shuffle().set_seed(0))",
    "list(map_pipes.SequenceWrapper([1,2,3]).shuffle().set_shuffle(False))",
    "list(map_pipes.SequenceWrapper([1,2,3]).shuffle(indices=['a','b']))",
    "map_pipes.SequenceWrapper([1]).nope",
    "data.DataChunk([1,2])",
    "str(data.DataChunk([data.DataChunk([1]),[2]]))",
    "data.DataChunk([1,2]).as_str('  ')",
    "list(data.DataChunk([data.DataChunk([1]),data.DataChunk([2])]).raw_iterator())",
    ("[(type(v[0]).__name__, [type(x[0]).__name__ for x in v[1].values()]) for v in "
     "data.graph.traverse_dps(W([1]).map(str).batch(2)).values()]"),
    "data.functional_datapipe('map')(type('X',(data.IterDataPipe,),{}))",
    ("torch.manual_seed(0) and [list(data.DataLoader(W(range(8)).shuffle(), batch_size=None, shuffle=s)) "
     "for s in (None, True, False)]"),
    ("torch.manual_seed(0) and (list(data.DataLoader(W(range(8)).shuffle().sharding_filter(), "
     "batch_size=None, num_workers=2, shuffle=True)), torch.rand(1))"),
    ("torch.manual_seed(0) and (list(data.DataLoader(W(range(8)).shuffle().sharding_filter(), "
     "batch_size=None, num_workers=2)), torch.rand(1))"),
    "torch.manual_seed(0) and (list(data.DataLoader(W(range(8)), batch_size=None)), torch.rand(1))",
    ("torch.manual_seed(0) and (list(data.DataLoader(map_pipes.SequenceWrapper(range(8)).shuffle(), "
     "batch_size=None)), torch.rand(1))"),
    ("torch.manual_seed(0) and (list(data.DataLoader(map_pipes.SequenceWrapper(range(8)), "
     "batch_size=None)), torch.rand(1))"),
]
# fmt: on
for expression in EXPRESSIONS:
    attempt(eval, expression, globals())

# ---- one iterator at a time

w = W(range(3))
first = iter(w)
show(next(first))
second = iter(w)
show(next(second))
attempt(next, first)
x, y = W(range(4)).fork(2)
old = iter(x)
show(next(old))
new = iter(x)
attempt(next, new)
attempt(next, old)
show(list(y))


class Log(data.IterDataPipe):
    def __init__(self):
        self.log = []

    def reset(self):
        self.log.append("reset")

    def __iter__(self):
        self.log.append("iter")
        yield 1


pipe = Log()
iterator = iter(pipe)
show(pipe.log)
show(next(iterator), pipe.log)
show(list(pipe), pipe.log)


class OwnNext(data.IterDataPipe):
    def __iter__(self):
        self.n = 0
        return self

    def __next__(self):
        if self.n == 3:
            raise StopIteration
        self.n += 1
        return self.n


show(list(OwnNext()), list(OwnNext().map(str)))
attempt(lambda: list(W([1]).unbatch().batch(2).batch(1)))


@data.functional_datapipe("times")
class Times(data.IterDataPipe):
    def __init__(self, source, k=3):
        self.source = source
        self.k = k

    def __iter__(self):
        for item in self.source:
            yield item * self.k


show(list(W(range(3)).times()), list(W(range(3)).times(k=2)), W(range(3)).times())
attempt(data.functional_datapipe("map"), Times)

# ---- what a loader tells them

graph = data.graph.traverse_dps(W([1]).map(str).batch(2).zip(W([2])))
((top, below),) = graph.values()
show(top, [pipe for pipe, _ in below.values()], graph_settings.get_all_graph_pipes(graph))
pipe = W(range(7)).shuffle().sharding_filter()
graph_settings.apply_sharding(pipe, 2, 1)
show(len(pipe), list(graph_settings.apply_shuffle_settings(pipe, shuffle=False)))
attempt(graph_settings.apply_sharding, W([1]).sharding_filter().map(str).sharding_filter(), 2, 1)
attempt(graph_settings.apply_sharding, W([1]).sharding_filter(), 2, 2)
attempt(graph_settings.apply_sharding, 3, 2, 2)
attempt(graph_settings.apply_shuffle_settings, W([1]), shuffle=True)
attempt(graph_settings.apply_shuffle_settings, W([1]), shuffle=None)
both = W(range(6)).shuffle().concat(W("abcd").shuffle())
show(list(graph_settings.apply_random_seed(both, torch.Generator().manual_seed(3))))
for make in (lambda: W(range(8)).shuffle().sharding_filter(), lambda: map_pipes.SequenceWrapper(range(8)).shuffle()):
    for options in ({}, {"num_workers": 2, "persistent_workers": True}, {"num_workers": 1, "shuffle": False}):
        torch.manual_seed(0)
        loader = data.DataLoader(make(), batch_size=None, **options)
        show([x for x in loader], [x for x in loader], torch.rand(1))

# ---- decorators


class Checked(data.IterDataPipe):
    @data.argument_validation
    def __init__(self, source: data.IterDataPipe):
        self.source = source

    def __iter__(self):
        yield from self.source


attempt(Checked, 3)


@data.non_deterministic
class Chance(data.IterDataPipe):
    def __iter__(self):
        yield 1


@data.non_deterministic(lambda x: x > 1)
class SomeChance(data.IterDataPipe):
    def __init__(self, x):
        pass

    def __iter__(self):
        yield 1


show(list(Chance()), list(SomeChance(2)))
with data.guaranteed_datapipes_determinism():
    attempt(Chance)
    attempt(lambda: list(SomeChance(1)))
    attempt(SomeChance, 2)
attempt(data.runtime_validation, len)
