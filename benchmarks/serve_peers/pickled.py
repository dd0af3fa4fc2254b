"""What people write first: a scikit-learn preparation and a torch network, pickled, behind FastAPI.

python pickled.py make FOLDER      trains it on FOLDER/table.csv and pickles it
python pickled.py serve FOLDER PORT
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

WIDTH, DEPTH, EPOCHS = 128, 2, 3


def make(folder: Path) -> None:
    """Fit both on all rows and pickle them."""
    table = pd.read_csv(folder / "table.csv")
    labels = torch.as_tensor((table.pop("target") == "yes").to_numpy(), dtype=torch.long)
    numbers = [name for name in table if str(name).startswith("n")]
    texts = [name for name in table if str(name).startswith("t")]
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        ]
    )
    features = torch.as_tensor(prepare.fit_transform(table), dtype=torch.float32)
    layers: list[nn.Module] = []
    for width in [features.shape[1]] + [WIDTH] * (DEPTH - 1):
        layers += [nn.Linear(width, WIDTH), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(WIDTH, 2))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(features)).chunk(len(features) // 128):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(features[rows]), labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    (folder / "model.pkl").write_bytes(pickle.dumps((prepare, net.eval())))


def serve(folder: Path, port: int) -> None:
    """Serve it, as FastAPI's own pages show."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    torch.set_num_threads(1)
    prepare, net = pickle.loads((folder / "model.pkl").read_bytes())

    class Rows(BaseModel):
        rows: list[dict[str, float | str | None]]

    app = FastAPI()

    def predict(body: Rows) -> dict[str, Any]:
        features = torch.as_tensor(prepare.transform(pd.DataFrame(body.rows)), dtype=torch.float32)
        with torch.inference_mode():
            found = net(features).softmax(dim=1)
        return {"predictions": found.tolist()}

    predict.__annotations__["body"] = Rows  # a class of this function, which its name does not lead to
    app.post("/predict")(predict)
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        serve(Path(sys.argv[2]), int(sys.argv[3]))
