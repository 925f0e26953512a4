# Makes the sample's pods run. Its images are names for tests, where nothing is pulled;
# here each becomes one that exists for every processor, and does nothing.
s|registry\.example\.com/[a-z]*|registry.k8s.io/pause|
s|^\( *image: registry.k8s.io/pause\):.*|\1:3.9|
s|^\( *newTag:\) .*|\1 "3.9"|
s|^\( *tag:\) "[0-9].*"|\1 "3.9"|
