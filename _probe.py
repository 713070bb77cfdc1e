import time, numpy as np, gymnasium as gym, harken, warnings
from gymnasium.utils.env_checker import check_env
cfg={"acoustics":{"rays":300,"duration":0.5},"camera":{"width":32,"height":32}}
def sep(o): return np.ones((512,32,1),np.float32)
for n in ("harken/ActiveSeparation-v0","harken/ActiveDynamicSeparation-v0"):
    for k in ({}, {"separator":sep}):
        t=time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            e=gym.make(n,split="val",config=cfg,**k).unwrapped
            check_env(e,skip_render_check=True)
        print(n,k,"ok",time.process_time()-t)
e=gym.make("harken/ActiveSeparation-v0",split="val",config={**cfg,"estimate":"binaural"},sensors=("spectrogram","mask","target","waveform","pose","collision")).unwrapped
o,i=e.reset(seed=1); print({k:getattr(v,'shape',v) for k,v in i.items()}); tot=0
for s in range(20):
    o,r,_,tr,i=e.step({"move":np.int64(s%3),"estimate":o["mask"]*np.expm1(o["spectrogram"])}); tot+=r
    print(s,round(r,3),{k:round(v,3) for k,v in i.items() if isinstance(v,float)})
print(tot,tr)
